"""Your model: an ONNX file with one input. It runs with runtime=onnxruntime."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import my_task
import numpy as np

from orchestrator.contracts import InputError, LoadContext
from tasks.runtimes.onnx_file import OnnxFileSession, onnx_files


class MyModel:
    """Every further key of `conf/model/my_model.yaml` is an argument of the constructor, such as `path`."""

    def __init__(self, path: str | None) -> None:
        self.path = None if path is None else Path(path).expanduser()

    def check(self) -> None:
        """Raise InputError for a mistake in the keys or the files, before anything is measured."""
        if self.path is not None and not self.path.is_file():
            raise InputError(f"model.path={self.path} is no file; name an ONNX file, or null", "not_found", "model.path", self.path)

    def files(self) -> Sequence[Path]:
        """Return the files of the weights: their content is part of a trial's identity."""
        return () if self.path is None else onnx_files(self.path)

    def load(self, context: LoadContext) -> "Loaded":
        """Return the graph, ready to answer. Runs in the timed process."""
        if self.path is not None:
            return Loaded(OnnxFileSession(context, self.path))
        with TemporaryDirectory() as folder:
            write(Path(folder, "tiny.onnx"))
            return Loaded(OnnxFileSession(context, Path(folder, "tiny.onnx")))


class Loaded:
    """The three stages that clocks measure."""

    def __init__(self, session: OnnxFileSession) -> None:
        self.session, self.facts = session, session.facts
        self.infer = session.infer

    def input_size(self, sample: Any) -> int:
        """Return the size of one sample."""
        return int(my_task.inputs([sample]).size)

    def preprocess(self, samples: Sequence[Any]) -> Any:
        """Return the inputs on the device."""
        return self.session.upload(my_task.inputs(samples))

    def postprocess(self, outputs: Any) -> list[Any]:
        """Return one answer for each sample, from the first output of the graph."""
        answers: list[Any] = my_task.answers(self.session.download(outputs)[0])
        return answers


def write(path: Path) -> None:
    """Write a tiny graph, which scores each class by the distance to its mean. Remove this once you have a file."""
    from onnx import TensorProto, helper, numpy_helper, save

    numbers, classes = my_task.training()
    means = np.stack([numbers[classes == one].mean(axis=0) for one in range(len(my_task.CLASSES))])
    weights = [numpy_helper.from_array(means.T.copy(), "weight"), numpy_helper.from_array(-(means**2).sum(axis=1) / 2, "bias")]
    places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["samples", None]) for name in ("numbers", "scores")]
    node = helper.make_node("Gemm", ["numbers", "weight", "bias"], ["scores"])
    graph = helper.make_graph([node], "tiny", places[:1], places[1:], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
