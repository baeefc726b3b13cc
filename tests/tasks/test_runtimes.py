from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily

from orchestrator.contracts import InputError, LoadContext
from tasks.runtimes.comparison import measured_difference, relative_tolerance
from tasks.runtimes.session import open_session

torch = Lazily("torch")
nn = Lazily("torch.nn")

pytestmark = pytest.mark.slow

MakeContext = Callable[..., LoadContext]
RUNTIMES = ("torch", "torchscript", "onnxruntime")  # test_torch_compile.py has the other one, which takes a compiler and its time


def pair() -> nn.Module:
    """Takes numbers and the indices of rows, returns two tensors of different types."""

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 4)

        def forward(self, numbers: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return numbers + self.table(rows).sum(1), rows + 1

    return Pair()


def branching() -> nn.Module:
    """Cannot be exported: which way it takes depends on the numbers."""

    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return self.layer(numbers) if float(numbers.sum()) > 0 else numbers

    return Branching()


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
def make_context(make_context: MakeContext, graphs: Path) -> MakeContext:
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
def test_any_number_of_samples_gets_the_network_s_answers(batch: int, runtime: str, make_context: MakeContext) -> None:
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
@pytest.mark.parametrize("named", [False, True])
def test_several_inputs_and_outputs_of_several_types(runtime: str, named: bool, make_context: MakeContext) -> None:
    arrays = {"numbers": numbers(3, 4), "rows": np.arange(6).reshape(3, 2)}
    inputs = arrays if named else tuple(arrays.values())
    network = pair()
    session = open_session(make_context(runtime), network, inputs)
    sums, rows = run(session, inputs)
    table = network.table.weight.detach().numpy()
    np.testing.assert_allclose(sums, arrays["numbers"] + table[arrays["rows"]].sum(1), atol=1e-6)
    assert rows.dtype == np.int64
    assert np.array_equal(rows, arrays["rows"] + 1)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_set_and_read_back(runtime: str, threads: int, make_context: MakeContext) -> None:
    session = open_session(make_context(runtime, threads=threads), small_network(), numbers(1, 3, 8, 8))
    assert session.facts["threads"] == {"intra_op": threads}
    assert session.facts["inter_op_threads"] == 1
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("wanted", [True, False])
def test_determinism_is_set_both_ways(runtime: str, wanted: bool, make_context: MakeContext) -> None:
    torch.use_deterministic_algorithms(not wanted)
    session = open_session(make_context(runtime, deterministic=wanted), small_network(), numbers(1, 3, 8, 8))
    assert session.facts["deterministic"] is wanted
    assert torch.are_deterministic_algorithms_enabled() is wanted


@pytest.mark.parametrize("wanted", [True, False])
def test_autotune_is_set_both_ways(wanted: bool, make_context: MakeContext) -> None:
    torch.backends.cudnn.benchmark = not wanted
    session = open_session(make_context(autotune=wanted), small_network(), numbers(1, 3, 8, 8))
    assert session.facts["autotune"] is torch.backends.cudnn.benchmark is wanted


@pytest.mark.parametrize("runtime", ["torch", "torchscript"])
@pytest.mark.parametrize(("dtype", "name"), [("fp32", "float32"), ("bf16", "bfloat16"), ("fp16", "float16")])
def test_torch_computes_in_the_dtype_and_answers_in_float32(runtime: str, dtype: str, name: str, make_context: MakeContext) -> None:
    session = open_session(make_context(runtime, dtype=dtype), small_network(), numbers(1, 3, 8, 8))
    outputs = session.infer(session.upload(numbers(1, 3, 8, 8)))
    assert outputs.dtype == getattr(torch, name)
    assert session.facts["weights"] == [f"cpu torch.{name}"]
    assert session.download(outputs).dtype == np.float32


@pytest.mark.parametrize(
    ("runtime", "dtype", "step"),
    [(runtime, "fp16", 2.0**-10) for runtime in RUNTIMES] + [(runtime, "bf16", 2.0**-7) for runtime in ("torch", "torchscript")],
)
def test_shorter_dtypes_are_compared_with_float32(runtime: str, dtype: str, step: float, make_context: MakeContext) -> None:
    network, example = small_network(), 30 * numbers(3, 3, 8, 8)
    with torch.no_grad():
        expected = network.eval()(torch.tensor(example)).numpy()
    session = open_session(make_context(runtime, dtype=dtype, batch=3), network, example)
    assert session.facts["tolerance"] == pytest.approx(10 * step * max(10, np.abs(expected).max()))
    assert session.facts["largest_difference"] == pytest.approx(np.abs(run(session, example) - expected).max(), rel=1e-3)
    assert 0 < session.facts["largest_difference"] < session.facts["tolerance"]


def test_eager_float32_is_compared_with_nothing(make_context: MakeContext) -> None:
    assert not {"largest_difference", "tolerance"} & set(open_session(make_context(), small_network(), numbers(1, 3, 8, 8)).facts)


def test_weights_that_come_in_another_dtype_have_nothing_to_be_compared_with(make_context: MakeContext) -> None:
    session = open_session(make_context(dtype="bf16"), small_network().bfloat16(), numbers(1, 3, 8, 8))
    assert "largest_difference" not in session.facts
    assert np.isfinite(run(session, numbers(1, 3, 8, 8))).all()


def test_a_number_that_the_dtype_cannot_hold_ends_the_trial(make_context: MakeContext) -> None:
    network = nn.Linear(4, 4)
    nn.init.constant_(network.weight, 1e5)
    with pytest.raises(ArithmeticError, match="NaN or infinity"):
        open_session(make_context(dtype="fp16"), network, np.ones((1, 4), dtype=np.float32))


def test_torch_keeps_no_gradients(make_context: MakeContext) -> None:
    session = open_session(make_context(), small_network(), numbers(1, 3, 8, 8))
    assert session.infer(session.upload(numbers(1, 3, 8, 8))).is_inference()


def test_onnxruntime_records_what_it_runs_with(make_context: MakeContext) -> None:
    facts = open_session(make_context("onnxruntime"), small_network(), numbers(1, 3, 8, 8)).facts
    assert facts["allow_spinning"] is True
    assert facts["provider"] == "CPUExecutionProvider"
    assert facts["graph_optimization"] == "ORT_ENABLE_ALL"
    assert 0 <= facts["largest_difference"] < 1e-5
    assert facts["tolerance"] == pytest.approx(1e-4)


def test_onnxruntime_s_graph_has_the_dtype(make_context: MakeContext) -> None:
    session = open_session(make_context("onnxruntime", dtype="fp16"), small_network(), numbers(1, 3, 8, 8))
    assert session.facts["dtype"] == ["fp16"]
    assert run(session, numbers(1, 3, 8, 8)).dtype == np.float32


def test_onnxruntime_names_the_dtypes_it_supports(make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"runtime\.dtype=bf16: runtime=onnxruntime computes in fp32 and fp16; set runtime\.dtype=fp32"):
        open_session(make_context("onnxruntime", dtype="bf16"), small_network(), numbers(1, 3, 8, 8))


def test_onnxruntime_has_nothing_to_tune_on_a_cpu(make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"runtime\.autotune=true: .*nothing to tune on a CPU; set runtime\.autotune=false"):
        open_session(make_context("onnxruntime", autotune=True), small_network(), numbers(1, 3, 8, 8))


def test_an_absent_provider_is_told_with_those_there(make_context: MakeContext) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has the provider")
    with pytest.raises(InputError, match=r"cuda:0 needs onnxruntime's CUDAExecutionProvider.*CPUExecutionProvider"):
        open_session(make_context("onnxruntime", device="cuda:0"), small_network(), numbers(1, 3, 8, 8))


def test_a_gpu_that_is_not_there_is_told(make_context: MakeContext) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match=r"system\.device=cuda:0: PyTorch .* finds no GPU here"):
        open_session(make_context(device="cuda:0"), small_network(), numbers(1, 3, 8, 8))


def test_a_network_that_cannot_be_exported_is_one_line(make_context: MakeContext, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"PyTorch cannot export this network \(.+\); choose runtime=torch") as caught:
        open_session(make_context("onnxruntime"), branching(), numbers(2, 4))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


def test_what_the_tracer_is_not_sure_of_is_recorded(make_context: MakeContext) -> None:
    facts = open_session(make_context("torchscript"), branching(), np.ones((2, 4), dtype=np.float32)).facts
    assert any("float" in note for note in facts["trace_warnings"])
    assert open_session(make_context("torchscript"), small_network(), numbers(1, 3, 8, 8)).facts["trace_warnings"] == []


def test_a_trace_that_learnt_the_number_of_samples_is_told_by_the_difference(make_context: MakeContext) -> None:
    class CountsOnce(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return self.layer(numbers) * float(len(numbers))

    facts = open_session(make_context("torchscript", batch=3), CountsOnce(), numbers(3, 4)).facts
    assert facts["largest_difference"] > facts["tolerance"]


def test_a_network_that_cannot_be_traced_is_one_line(make_context: MakeContext) -> None:
    class Text(nn.Module):
        def forward(self, numbers: torch.Tensor) -> Any:
            return "no tensor"

    # In bf16 there is nothing of float32 that would have to be compared first.
    with pytest.raises(InputError, match=r"runtime=torchscript: PyTorch cannot trace this network \(.+\); choose runtime=torch") as caught:
        open_session(make_context("torchscript"), nn.Sequential(nn.Linear(4, 4).bfloat16(), Text()), numbers(2, 4))
    assert "\n" not in str(caught.value)


def test_an_unknown_runtime_is_told_with_the_known_ones(make_context: MakeContext) -> None:
    with pytest.raises(InputError, match=r"runtime=tensorflow cannot execute torch networks; choose one of: torch, torch_"):
        open_session(make_context("tensorflow"), small_network(), numbers(1, 3, 8, 8))


def test_the_largest_difference_is_over_all_outputs() -> None:
    expected = [np.array([1.0, -2.0]), np.array([[3.0]])]
    answers = [np.array([1.0, -2.0 + 2e-5]), np.array([[3.0 - 5e-5]])]
    facts = measured_difference(answers, expected, relative=1e-5)
    assert facts == {"largest_difference": pytest.approx(5e-5), "tolerance": pytest.approx(1e-4)}


def test_the_tolerance_grows_with_answers_beyond_ten() -> None:
    facts = measured_difference([np.array([1000.002])], [np.array([1000.0])], relative=1e-5)
    assert facts["tolerance"] == pytest.approx(1e-2)


def test_a_difference_beyond_the_tolerance_is_told_and_no_error() -> None:
    facts = measured_difference([np.array([0.0, 1.1e-4])], [np.zeros(2)], relative=1e-5)
    assert facts == {"largest_difference": pytest.approx(1.1e-4), "tolerance": pytest.approx(1e-4)}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (np.array([0.0, np.nan]), "NaN or infinity"),
        (np.array([0.0, np.inf]), "NaN or infinity"),
        (np.array([0.0]), "shape"),
    ],
)
def test_no_answers_are_an_error(answer: np.ndarray, words: str) -> None:
    with pytest.raises(ArithmeticError, match=words):
        measured_difference([answer], [np.zeros(2)], relative=1e-5)


@pytest.mark.parametrize(
    ("device", "dtype", "relative"),
    [("cpu", "fp32", 1e-5), ("cuda:0", "fp32", 1e-3), ("cpu", "fp16", 10 / 1024), ("cuda:0", "bf16", 10 / 128)],
)
def test_the_tolerance_follows_device_and_dtype(device: str, dtype: str, relative: float, make_context: MakeContext) -> None:
    assert relative_tolerance(make_context(device=device, dtype=dtype)) == pytest.approx(relative)
