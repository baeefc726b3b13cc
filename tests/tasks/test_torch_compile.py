import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from refusals import refused

from tasks.runtimes.session import open_session
from tasks.runtimes.torch_compile import check_compiler

torch = Lazily("torch")
nn = Lazily("torch.nn")

pytestmark = pytest.mark.slow
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++: install it, such as with `apt install g++`")


@pytest.fixture(autouse=True)
def _restore_settings() -> Iterator[None]:
    """PyTorch writes plain C++, where it would compile a program for each of the processor's instruction sets to try it."""
    threads = torch.get_num_threads()
    # Nothing public says which instructions the compiler may try.
    with Lazily("torch._inductor.config").patch({"cpp.vec_isa_ok": False}):
        yield
    torch.compiler.reset()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.9), nn.GELU(), nn.LayerNorm(5))


def numbers(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).standard_normal((samples, 6), dtype=np.float32)


@pytest.mark.parametrize("name", ["", "clang++-99"])
def test_a_missing_compiler_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", name)
    with refused("not_installed", "runtime", "torch_compile"):
        check_compiler("cpu")


@needs_compiler
def test_it_is_compiled_while_it_loads_and_a_smaller_batch_when_it_comes(make_context: Any) -> None:
    network = small_network()
    with torch.no_grad():
        expected = {count: network.eval()(torch.tensor(numbers(count))).numpy() for count in (4, 3, 2)}
    context = make_context("torch_compile", batch=4)
    session = open_session(context, network, numbers(4))
    told = {"graphs": 1, "graph_breaks": 0, "threads": {"intra_op": 2}, "compiled_threads": 2}
    assert {name: session.facts[name] for name in told} == told
    assert session.facts["compile_ns"] > 0
    assert 0 <= session.facts["largest_difference"] < session.facts["tolerance"] == pytest.approx(1e-4)
    assert list((context.cache_dir / "inductor").rglob("*.cpp")), "nothing was compiled"
    assert not list((context.cache_dir / "inductor").rglob("fxgraph/*")), "graphs are cached as pickles"
    for count, answers in expected.items():
        np.testing.assert_allclose(session.download(session.infer(session.upload(numbers(count)))), answers, atol=1e-5)


@needs_compiler
def test_a_network_that_cannot_be_compiled_is_refused(make_context: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken++"
    broken.write_text("#!/bin/sh\necho this compiler is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with refused("unsupported", "runtime", "torch_compile"):
        open_session(make_context("torch_compile"), small_network(), numbers(1))
