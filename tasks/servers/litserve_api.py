"""The model as an API of LitServe, whose workers import this module themselves."""

from __future__ import annotations

from typing import Any

import litserve

from tasks.servers.engine import Answering, Given


class Answers(litserve.LitAPI):
    """From a text to its label; each worker has a model of its own."""

    given: Given

    def setup(self, device: Any) -> None:
        """Load the model."""
        self.served = Answering(self.given)

    def decode_request(self, request):  # type: ignore[no-untyped-def] # a type would have it taken from the query
        """Return the text."""
        return str(request["text"])

    def predict(self, x: Any) -> Any:
        """Return the answer or, where requests are batched, a list of answers."""
        return self.served.answers(x) if isinstance(x, list) else self.served.answers([x])[0]

    def encode_response(self, output):  # type: ignore[no-untyped-def] # the same
        """Return what is sent."""
        return {"label": output}
