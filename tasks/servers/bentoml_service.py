"""The model as a service of BentoML, which imports this module itself."""

from __future__ import annotations

import json
import os

import bentoml

from tasks.servers.bentoml_server import VARIABLE
from tasks.servers.engine import Answering, read_arguments


@bentoml.service(workers=1)
class Answers:
    """From a text to its label."""

    def __init__(self) -> None:
        self.served = Answering(read_arguments(None, json.loads(os.environ[VARIABLE])))

    @bentoml.api
    def predict(self, text: str) -> dict[str, str]:
        """Return the answer to one text."""
        return {"label": self.served.answers([text])[0]}
