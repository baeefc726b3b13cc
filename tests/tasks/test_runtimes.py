from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from refusals import refused

from tasks.runtimes.comparison import measured_difference, relative_tolerance
from tasks.runtimes.session import open_session

torch = Lazily("torch")
nn = Lazily("torch.nn")

# test_torch_compile.py has the other one, which takes a compiler and its time.
RUNTIMES = ("torch", "torchscript", pytest.param("onnxruntime", marks=pytest.mark.slow))


@pytest.fixture(autouse=True)
def _restore_settings() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = torch.backends.cudnn.deterministic = False


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of all tests here: a network is exported once."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture
def make_context(make_context: Any, graphs: Path) -> Any:
    return partial(make_context, cache_dir=graphs)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.9), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6))


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def run(session: Any, inputs: Any) -> Any:
    return session.download(session.infer(session.upload(inputs)))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("batch", [1, 4])
def test_any_number_of_samples_gets_the_network_s_answers(batch: int, runtime: str, make_context: Any) -> None:
    network = small_network()
    session = open_session(make_context(runtime, batch=batch), network, numbers(batch, 3, 8, 8))
    for count in (1, 2, 5):
        inputs = numbers(count, 3, 8, 8)
        with torch.no_grad():
            expected = network.eval()(torch.tensor(inputs)).numpy()
        answers = run(session, inputs)
        assert answers.dtype == np.float32
        np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("wanted", [True, False])
def test_settings_are_set_both_ways_and_read_back(runtime: str, wanted: bool, make_context: Any) -> None:
    torch.use_deterministic_algorithms(not wanted)
    torch.backends.cudnn.benchmark = not wanted
    autotune = wanted and runtime != "onnxruntime"  # which has nothing to tune on a CPU
    context = make_context(runtime, threads=1 + wanted, deterministic=wanted, autotune=autotune)
    session = open_session(context, small_network(), numbers(1, 3, 8, 8))
    assert session.facts["threads"] == {"intra_op": 1 + wanted}
    assert (session.facts["inter_op_threads"], torch.get_num_threads()) == (1, 1 + wanted)
    assert session.facts["deterministic"] is torch.are_deterministic_algorithms_enabled() is wanted
    if runtime == "torch":
        assert session.facts["autotune"] is torch.backends.cudnn.benchmark is wanted


@pytest.mark.parametrize("runtime", ["torch", "torchscript"])
@pytest.mark.parametrize(("dtype", "name"), [("fp32", "float32"), ("bf16", "bfloat16"), ("fp16", "float16")])
def test_torch_computes_in_the_dtype_and_answers_in_float32(runtime: str, dtype: str, name: str, make_context: Any) -> None:
    session = open_session(make_context(runtime, dtype=dtype), small_network(), numbers(1, 3, 8, 8))
    outputs = session.infer(session.upload(numbers(1, 3, 8, 8)))
    assert outputs.dtype == getattr(torch, name)
    assert session.facts["weights"] == [f"cpu torch.{name}"]
    assert session.download(outputs).dtype == np.float32


@pytest.mark.parametrize(
    ("runtime", "dtype", "step"),
    [
        ("torch", "fp16", 2.0**-10),
        ("torch", "bf16", 2.0**-7),
        ("torchscript", "fp16", 2.0**-10),
        ("torchscript", "bf16", 2.0**-7),
        pytest.param("onnxruntime", "fp16", 2.0**-10, marks=pytest.mark.slow),
    ],
)
def test_shorter_dtypes_are_compared_with_float32(runtime: str, dtype: str, step: float, make_context: Any) -> None:
    network, example = small_network(), 30 * numbers(3, 3, 8, 8)
    with torch.no_grad():
        expected = network.eval()(torch.tensor(example)).numpy()
    session = open_session(make_context(runtime, dtype=dtype, batch=3), network, example)
    assert session.facts["tolerance"] == pytest.approx(10 * step * max(10, np.abs(expected).max()))
    assert session.facts["largest_difference"] == pytest.approx(np.abs(run(session, example) - expected).max(), rel=1e-3)
    assert 0 < session.facts["largest_difference"] < session.facts["tolerance"]


def test_a_number_that_the_dtype_cannot_hold_ends_the_trial(make_context: Any) -> None:
    network = nn.Linear(4, 4)
    nn.init.constant_(network.weight, 1e5)
    with pytest.raises(ArithmeticError, match="NaN or infinity"):
        open_session(make_context(dtype="fp16"), network, np.ones((1, 4), dtype=np.float32))


def test_eager_pytorch_keeps_no_gradients_and_is_compared_with_nothing(make_context: Any) -> None:
    session = open_session(make_context(), small_network(), numbers(1, 3, 8, 8))
    assert session.infer(session.upload(numbers(1, 3, 8, 8))).is_inference()
    assert not {"largest_difference", "tolerance"} & set(session.facts)


@pytest.mark.slow
def test_onnxruntime_s_graph_has_the_dtype(make_context: Any) -> None:
    session = open_session(make_context("onnxruntime", dtype="fp16"), small_network(), numbers(1, 3, 8, 8))
    assert session.facts["dtype"] == ["fp16"]
    assert run(session, numbers(1, 3, 8, 8)).dtype == np.float32


@pytest.mark.parametrize(
    ("runtime", "changes", "code", "key"),
    [
        ("onnxruntime", {"dtype": "bf16"}, "unsupported", "runtime.dtype"),
        ("onnxruntime", {"autotune": True}, "unsupported", "runtime.autotune"),
        ("onnxruntime", {"device": "cuda:0"}, "unsupported", "system.device"),
        ("torch", {"device": "cuda:0"}, "unsupported", "system.device"),
        ("tensorflow", {}, "unsupported", "runtime"),
    ],
)
def test_what_a_runtime_cannot_do_is_refused(runtime: str, changes: dict[str, Any], code: Any, key: str, make_context: Any) -> None:
    if "device" in changes and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with refused(code, key):
        open_session(make_context(runtime, **changes), small_network(), numbers(1, 3, 8, 8))


@pytest.mark.slow
def test_a_network_that_cannot_be_exported_or_traced_is_refused(make_context: Any, capfd: pytest.CaptureFixture[str]) -> None:
    class Branching(nn.Module):
        """Cannot be exported: which way it takes depends on the numbers."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return self.layer(numbers) if float(numbers.sum()) > 0 else numbers

    class Text(nn.Module):
        def forward(self, numbers: torch.Tensor) -> Any:
            return "no tensor"

    with refused("unsupported", "runtime", "onnxruntime"):
        open_session(make_context("onnxruntime"), Branching(), numbers(2, 4))
    assert capfd.readouterr().out == ""
    # In bf16 there is nothing of float32 that would have to be compared first.
    with refused("unsupported", "runtime", "torchscript"):
        open_session(make_context("torchscript"), nn.Sequential(nn.Linear(4, 4).bfloat16(), Text()), numbers(2, 4))


def test_a_trace_that_learnt_the_number_of_samples_shows_in_the_difference(make_context: Any) -> None:
    class CountsOnce(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return self.layer(numbers) * float(len(numbers))

    facts = open_session(make_context("torchscript", batch=3), CountsOnce(), numbers(3, 4)).facts
    assert facts["largest_difference"] > facts["tolerance"]


@pytest.mark.parametrize(
    ("expected", "answers", "difference", "tolerance"),
    [
        ([[1.0, -2.0], [[3.0]]], [[1.0, -2.0 + 2e-5], [[3.0 - 5e-5]]], 5e-5, 1e-4),  # over all outputs
        ([[1000.0]], [[1000.002]], 2e-3, 1e-2),  # it grows with answers beyond ten
        ([[0.0, 0.0]], [[0.0, 1.1e-4]], 1.1e-4, 1e-4),  # a difference beyond it is no error
    ],
)
def test_the_largest_difference_stands_beside_its_tolerance(expected: Any, answers: Any, difference: float, tolerance: float) -> None:
    found = measured_difference([np.array(one) for one in answers], [np.array(one) for one in expected], relative=1e-5)
    assert found == {"largest_difference": pytest.approx(difference), "tolerance": pytest.approx(tolerance)}


@pytest.mark.parametrize("answer", [[0.0, np.nan], [0.0, np.inf], [0.0]])
def test_no_answers_are_an_error(answer: list[float]) -> None:
    with pytest.raises(ArithmeticError):
        measured_difference([np.array(answer)], [np.zeros(2)], relative=1e-5)


@pytest.mark.parametrize(
    ("device", "dtype", "relative"),
    [("cpu", "fp32", 1e-5), ("cuda:0", "fp32", 1e-3), ("cpu", "fp16", 10 / 1024), ("cuda:0", "bf16", 10 / 128)],
)
def test_the_tolerance_follows_device_and_dtype(device: str, dtype: str, relative: float, make_context: Any) -> None:
    assert relative_tolerance(make_context(device=device, dtype=dtype)) == pytest.approx(relative)
