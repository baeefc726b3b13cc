"""The runtime ``open_inference``: the Open Inference Protocol, version 2, over HTTP, with tensors in JSON or in binary.

Triton, OpenVINO Model Server, MLServer and KServe speak it. Source: https://github.com/kserve/open-inference-protocol, and Triton's
extension for binary tensors (docs/protocol/extension_binary_data.md of triton-inference-server/server).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.contracts import InputError, Reply, Request, ServerFault
from tasks.runtimes.asking import inside, read_json
from tasks.runtimes.session import Array, Inputs

DATATYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "INT8": np.int8,
    "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
"""The protocol's name of each type of number, little-endian in binary."""
TEXT = "BYTES"
LONGEST_LENGTH = 18
"""Digits of a number of bytes."""
HEADER_LENGTH = "inference-header-content-length"
NAME = re.compile(r"[\w.-]+")


class Asking:
    """Asks a server's model for its outputs.

    Parameters
    ----------
    server_model, version
        the model's name on the server, and its version; None takes the server's choice.
    inputs
        names of its inputs in the order of the arrays.
    outputs
        names of the outputs that are wanted, in the order in which they are read; empty takes all.
    binary
        whether tensors are sent and asked for in binary; else in JSON, which every server knows.
    """

    def __init__(
        self,
        server_model: str,
        inputs: Sequence[str] = ("input",),
        outputs: Sequence[str] = (),
        version: str | None = None,
        binary: bool = True,
    ) -> None:
        for key, name in (("server_model", server_model), ("version", version)):
            if name is not None and not NAME.fullmatch(str(name)):
                raise InputError(
                    f"model.request.{key}={name}: must be letters, digits and ._- alone; correct it", key=f"model.request.{key}", value=name
                )
        of_version = "" if version is None else f"/versions/{version}"
        self._path = f"/v2/models/{server_model}{of_version}/infer"
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._binary = binary
        self.facts: Mapping[str, Any] = {"server_model": server_model, "tensors": "binary" if binary else "JSON"}

    def upload(self, inputs: Inputs) -> Request:
        """Return the request for one array, several, or several by name."""
        arrays = named(inputs, self._inputs)
        parts: list[bytes] = []
        tensors = []
        for name, array in arrays.items():
            tensor: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": datatype_of(array)}
            if self._binary:
                parts.append(as_bytes(array))
                tensor["parameters"] = {"binary_data_size": len(parts[-1])}
            else:
                tensor["data"] = array.ravel().tolist()
            tensors.append(tensor)
        document: dict[str, Any] = {"inputs": tensors}
        if self._outputs:
            document["outputs"] = [{"name": name, "parameters": {"binary_data": self._binary}} for name in self._outputs]
        elif self._binary:
            document["parameters"] = {"binary_data_output": True}
        head = json.dumps(document, separators=(",", ":")).encode()
        if not self._binary:
            return Request(self._path, head)
        headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        return Request(self._path, b"".join([head, *parts]), headers)

    def download(self, reply: Reply) -> Any:
        """Return the output as an array, or several as a tuple of arrays in their order. Numbers of 16 bits become float32."""
        length = reply.headers.get(HEADER_LENGTH)
        head, rest = reply.body, b""
        if length is not None:
            # Python refuses to make a number of thousands of digits, in words of its own.
            if not length.isdecimal() or len(length) > LONGEST_LENGTH or int(length) > len(reply.body):
                raise ServerFault(f"the answer has {len(reply.body)} bytes, and its header {HEADER_LENGTH} is {length[:20]}")
            head, rest = reply.body[: int(length)], reply.body[int(length) :]
        found: dict[str, Array] = {}
        outputs = inside(read_json(head), "outputs")
        if not isinstance(outputs, list):
            raise ServerFault(f"outputs of the answer is no list: {json.dumps(outputs)[:100]}")
        for tensor in outputs:
            name = str(inside(tensor, "name"))
            # KServe writes "parameters": null beside outputs in JSON.
            parameters = tensor.get("parameters") or {}
            if not isinstance(parameters, dict):
                raise ServerFault(f"output {name[:40]} has parameters that are no object: {json.dumps(parameters)[:100]}")
            size = parameters.get("binary_data_size")
            if size is None:
                found[name] = from_list(tensor)
                continue
            if not isinstance(size, int) or not 0 <= size <= len(rest):
                raise ServerFault(f"output {name[:40]} has {str(size)[:20]} binary bytes, and {len(rest)} are left of the answer")
            found[name] = from_bytes(tensor, rest[:size])
            rest = rest[size:]
        missing = [name for name in self._outputs if name not in found]
        if missing or not found:
            raise ServerFault(f"the answer has no output {missing[0] if missing else 'at all'}; there is {', '.join(found) or 'none'}")
        arrays = tuple(found[name] for name in self._outputs or found)
        return arrays[0] if len(arrays) == 1 else arrays


def named(inputs: Inputs, names: Sequence[str]) -> dict[str, Array]:
    """Return arrays by the names of the server's inputs."""
    if isinstance(inputs, Mapping):
        return dict(inputs)
    arrays = inputs if isinstance(inputs, tuple) else (inputs,)
    if len(arrays) != len(names):
        raise InputError(
            f"model.request.inputs={list(names)} must be {len(arrays)} names, one for each array; correct it",
            "conflict",
            "model.request.inputs",
            list(names),
        )
    return dict(zip(names, arrays, strict=True))


def datatype_of(array: Array) -> str:
    """Return the protocol's name of an array's type."""
    if array.dtype.kind in "OSU":
        return TEXT
    found = next((name for name, kind in DATATYPES.items() if array.dtype == kind), None)
    if found is None:
        raise InputError(
            f"an array of {array.dtype} has no type in the Open Inference Protocol; prepare it as float32 or an integer", "unsupported"
        )
    return found


def as_bytes(array: Array) -> bytes:
    """Return an array as the protocol's binary extension has it; a text is its length in 4 bytes and its bytes."""
    if array.dtype.kind not in "OSU":
        return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel().tolist()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def from_bytes(tensor: Mapping[str, Any], content: bytes) -> Array:
    """Return a binary output. Raises ServerFault where its size is not that of its shape."""
    kind, shape = _form(tensor)
    if kind == TEXT:
        texts = []
        while content:
            size = int.from_bytes(content[:4], "little")
            if len(content) < 4 + size:
                raise ServerFault(
                    f"output {str(tensor['name'])[:40]} breaks off within a text, which is its length in 4 bytes and its bytes"
                )
            texts.append(content[4 : 4 + size].decode("utf-8", "replace"))
            content = content[4 + size :]
        return _shaped(np.array(texts, dtype=object), shape)
    dtype = np.dtype(DATATYPES[kind]).newbyteorder("<")
    if len(content) % dtype.itemsize:
        raise ServerFault(f"output {tensor['name']} has {len(content)} bytes, which is no number of {kind}")
    return _plain(_shaped(np.frombuffer(content, dtype=dtype), shape))


def from_list(tensor: Any) -> Array:
    """Return an output in JSON, flat or nested. Raises ServerFault for what does not fit its type or shape."""
    kind, shape = _form(tensor)
    data = inside(tensor, "data")
    if not isinstance(data, list):
        raise ServerFault(f"output {str(tensor['name'])[:40]} has data that are no list: {json.dumps(data)[:40]}")
    try:
        values: Array = np.array(data, dtype=object if kind == TEXT else DATATYPES[kind])
    except (OverflowError, TypeError, ValueError):
        raise ServerFault(f"output {tensor['name']} holds what is no {kind}") from None
    return _plain(_shaped(values.ravel(), shape))


def _form(tensor: Any) -> tuple[str, tuple[int, ...]]:
    kind, shape = inside(tensor, "datatype"), inside(tensor, "shape")
    if kind != TEXT and (not isinstance(kind, str) or kind not in DATATYPES):
        raise ServerFault(f"output {tensor.get('name')} is of type {str(kind)[:20]}, which is read by nobody here")
    if not isinstance(shape, list) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ServerFault(f"output {tensor.get('name')} has shape {str(shape)[:40]}, which is none")
    return kind, tuple(shape)


def _shaped(values: Array, shape: tuple[int, ...]) -> Array:
    if values.size != math.prod(shape):
        raise ServerFault(f"an output has {values.size} values and shape {str(list(shape))[:80]}")
    try:
        return values.reshape(shape)
    except (OverflowError, ValueError):
        raise ServerFault(f"an output has a shape of {len(shape)} axes that no array can have: {str(list(shape))[:40]}") from None


def _plain(values: Array) -> Array:
    return values.astype(np.float32) if values.dtype == np.float16 else values
