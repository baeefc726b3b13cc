"""BentoML: plain JSON. A request to ``/predict`` holds ``input``, the sample's bytes in base64; its answer ``answer``.

BentoML's own program imports this module: ``bentoml serve tasks.servers.bentoml_service:Answers``.
"""

from __future__ import annotations

import base64
from typing import Any

import bentoml

from tasks.servers.engine import Answering, Served


@bentoml.service(workers=1)
class Answers:
    """The trial's model."""

    def __init__(self) -> None:
        self.served = Answering(Served.of_environment())

    @bentoml.api
    def predict(self, input: str) -> dict[str, Any]:  # noqa: A002 - the name in the request
        """Return the answer to one sample."""
        return {"answer": self.served.answers([base64.b64decode(input)])[0]}
