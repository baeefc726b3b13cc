"""The network as a runtime of MLServer, which imports this module itself."""

from __future__ import annotations

import json
import os
from typing import Any

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

from tasks.servers.engine import Computing, read_arguments
from tasks.servers.mlserver_server import VARIABLE


class Network(MLModel):
    """From tensors to tensors."""

    async def load(self) -> bool:
        """Load the network."""
        self.computing = Computing(read_arguments(None, json.loads(os.environ[VARIABLE]), batch_wait_ms=0.0))
        return True

    async def predict(self, payload: Any) -> Any:
        """Return the outputs for the inputs of a request."""
        arrays = self.computing.compute({tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs})
        outputs = [NumpyCodec.encode_output(name, array) for name, array in arrays.items()]
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=outputs)
