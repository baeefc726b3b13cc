from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image
from refusals import refused

from orchestrator.contracts import LoadedModel
from tasks.models.nanodet import NanoDet

onnx = Lazily("onnx")
helper = Lazily("onnx.helper")
numpy_helper = Lazily("onnx.numpy_helper")

pytestmark = pytest.mark.slow

SIDE, STRIDES, BINS, CLASSES = 64, (8, 16, 32), 8, 2
PLACES = [(SIDE // stride) ** 2 for stride in STRIDES]
SMALL: dict[str, Any] = {"class_count": CLASSES, "category_ids": [40, 50]}


def answers_of() -> tuple[np.ndarray, np.ndarray]:
    """Scores and distances with two objects: at place (x 2, y 3) of the first grid, and at (1, 0) of the last."""
    scores = np.zeros((sum(PLACES), CLASSES), dtype=np.float32)
    distances = np.zeros((sum(PLACES), 4, BINS), dtype=np.float32)
    for place, label, score, reach in ((3 * 8 + 2, 1, 0.75, (1, 2, 2, 1)), (PLACES[0] + PLACES[1] + 1, 0, 0.5, (0, 0, 0, 1))):
        scores[place, label] = score
        for edge, bin_index in enumerate(reach):
            distances[place, edge, bin_index] = 100
    return scores, distances.reshape(len(scores), 4 * BINS)


def save_graph(path: Path, outputs: Sequence[np.ndarray], batch: int | str = 1, side: int | str = SIDE) -> Path:
    """Write a graph that answers with these arrays for each of its pictures."""
    nodes = [
        helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=1),
        helper.make_node("Squeeze", ["mean", "last"], ["flat"]),
        helper.make_node("Mul", ["flat", "zero"], ["nothing"]),
    ]
    constants = {"axes": np.array([1, 2, 3]), "last": np.array([3]), "zero": np.zeros(1, dtype=np.float32)}
    for index, array in enumerate(outputs):
        constants[f"answer_{index}"] = array[None]
        nodes.append(helper.make_node("Add", ["nothing", f"answer_{index}"], [f"output_{index}"]))
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info(f"output_{index}", onnx.TensorProto.FLOAT, [batch, *a.shape]) for index, a in enumerate(outputs)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def per_grid(array: np.ndarray) -> list[np.ndarray]:
    return np.split(array, np.cumsum(PLACES)[:-1])


def forms() -> dict[str, list[np.ndarray]]:
    scores, distances = answers_of()
    pairs = zip(per_grid(scores), per_grid(distances), strict=True)
    return {
        "scores, then distances": [*per_grid(scores), *per_grid(distances)],
        "coarsest grid first": [*per_grid(scores)[::-1], *per_grid(distances)[::-1]],
        "alternating": [part for pair in pairs for part in pair],
        "both in one": [np.hstack([scores, distances])],
        "one of each": [scores, distances],
    }


def answer(model: LoadedModel, pictures: list[Image.Image]) -> list[Any]:
    return model.postprocess(model.infer(model.preprocess(pictures)))


@pytest.mark.parametrize("form", forms())
def test_every_form_of_the_family_is_read(form: str, tmp_path: Path, make_context: Any) -> None:
    model = NanoDet(str(save_graph(tmp_path / "small.onnx", forms()[form])), **SMALL)
    model.check()
    loaded = model.load(make_context("onnxruntime"))
    assert isinstance(loaded, LoadedModel)
    (found,) = answer(loaded, [Image.new("RGB", (128, 64))])
    # Centres are (2.5, 3.5) x 8 and (1.5, 0.5) x 32 in an input of 64 x 64; the picture is twice as wide.
    assert (found["labels"], found["scores"]) == ([50, 40], [0.75, 0.5])
    assert np.allclose(found["boxes"], [[24, 12, 48, 24], [96, 16, 0, 32]], atol=1e-4)
    assert (loaded.facts["threads"], loaded.facts["input_shape"]) == ({"intra_op": 2}, [3, 64, 64])


def test_a_graph_with_an_open_batch_takes_any_number_of_pictures(tmp_path: Path, make_context: Any) -> None:
    path = save_graph(tmp_path / "open.onnx", forms()["one of each"], batch="pictures", side="side")
    loaded = NanoDet(str(path), input_size=64, **SMALL).load(make_context("onnxruntime", batch=3))
    found = answer(loaded, [Image.new("RGB", (64, 64)), Image.new("RGB", (128, 64)), Image.new("RGB", (64, 128))])
    assert [np.round(one["boxes"][0], 3).tolist() for one in found] == [[12, 12, 24, 24], [24, 12, 48, 24], [12, 24, 24, 48]]
    assert len(answer(loaded, [Image.new("RGB", (64, 64))])) == 1


def test_a_graph_that_does_not_fit_is_refused(tmp_path: Path, make_context: Any) -> None:
    scores, distances = answers_of()
    three = {"class_count": 3, "category_ids": [1, 2, 3]}
    path = tmp_path / "other.onnx"
    for outputs, options, code in (
        ((scores,), {}, "conflict"),
        ((scores, distances[:, :30]), {}, "conflict"),
        ((scores[:20], distances[:20]), {}, "conflict"),
        ((scores, distances), three, "conflict"),
        ((scores / 0.1875, distances), {}, "unsupported"),  # no sigmoid
    ):
        model = NanoDet(str(save_graph(path, outputs)), **(SMALL | options))
        with refused(code, "model.path", path):
            model.load(make_context("onnxruntime"))
    fixed = NanoDet(str(save_graph(path, (scores, distances))), **SMALL)
    for changes, key in (({"batch": 2}, "measurement.batch"), ({"runtime": "torch"}, "runtime"), ({"dtype": "fp16"}, "runtime")):
        with refused("conflict" if "batch" in changes else "unsupported", key):
            fixed.load(make_context(**{"runtime": "onnxruntime", **changes}))
    path.write_bytes(b"not a graph")
    with refused("damaged", "model.path", path):
        fixed.load(make_context("onnxruntime"))
