from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lazily import Lazily

from tasks.runtimes.onnx_export import content_digest
from tasks.runtimes.onnx_runtime import bound
from tasks.runtimes.session import open_session

torch = Lazily("torch")
nn = Lazily("torch.nn")
onnx = Lazily("onnx")
onnxruntime = Lazily("onnxruntime")

pytestmark = pytest.mark.slow

EXAMPLE = np.zeros((1, 4), dtype=np.float32)


def network(width: int = 3, seed: int = 0, scale: float = 2.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.LeakyReLU(scale)).eval()


def test_the_second_session_takes_the_graph_from_the_cache(make_context: Any) -> None:
    context = make_context("onnxruntime")
    first = open_session(context, network(), EXAMPLE)
    second = open_session(context, network(), EXAMPLE)
    assert (first.facts["graph_from_cache"], second.facts["graph_from_cache"]) == (False, True)
    assert [path.name for path in (context.cache_dir / "onnx").iterdir()] == [first.facts["graph"]]
    other = open_session(context, network(seed=1), EXAMPLE)
    assert other.facts["graph_from_cache"] is False
    ones = np.ones((1, 4), dtype=np.float32)
    answers = [session.download(session.infer(session.upload(ones))) for session in (first, other)]
    assert not np.allclose(*answers)


def changed_buffer() -> nn.Module:
    changed = network()
    changed[1].running_mean[0] += 1
    return changed


@pytest.mark.parametrize(
    ("changed", "example"),
    [
        (lambda: network(seed=1), EXAMPLE),
        (lambda: network(width=5), EXAMPLE),
        (lambda: network(scale=0.5), EXAMPLE),
        (changed_buffer, EXAMPLE),
        (lambda: network().half(), EXAMPLE),
        (network, EXAMPLE.astype(np.float64)),
        (network, np.zeros((1, 2, 4), dtype=np.float32)),
        (network, (EXAMPLE,)),
    ],
    ids=["weights", "width", "setting", "buffer", "dtype", "input dtype", "input shape", "input name"],
)
def test_the_digest_covers_all_that_decides_the_graph(changed: Callable[[], nn.Module], example: Any) -> None:
    assert content_digest(changed(), example) != content_digest(network(), EXAMPLE)


def test_the_digest_is_the_same_for_any_number_of_samples() -> None:
    assert content_digest(network(), EXAMPLE) == content_digest(network(), np.ones((7, 4), dtype=np.float32))


def test_a_binding_keeps_its_inputs() -> None:
    """Those of onnxruntime 1.23 do not: a graph on a CPU reads memory that the process has used for something else by then."""
    make, number = onnx.helper, onnx.TensorProto.FLOAT
    ends = [make.make_tensor_value_info(name, number, [None]) for name in ("x", "y")]
    graph = make.make_graph([make.make_node("Identity", ["x"], ["y"])], "same", ends[:1], ends[1:])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for value in range(3):
        binding = bound(onnxruntime, session, ("cpu", 0), {"x": np.full(3000, value, dtype=np.float32)}, ["y"])
        after = np.full(3000, -1, dtype=np.float32)
        session.run_with_iobinding(binding)
        (found,) = binding.copy_outputs_to_cpu()
        assert (found == value).all()
        assert (after == -1).all()
