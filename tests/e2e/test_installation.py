"""What `make quick`, `make run` and `make test` install, which build of torch they take, and whether the wheel is whole."""

import os
import runpy
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = runpy.run_path(str(ROOT / "requirements" / "install.py"))
NEWEST_PYTHON = "3.13"
"""The newest that all dependencies have wheels for."""

Uv = Callable[..., None]


def test_constraints_fit_the_ranges_and_leave_torch_to_the_machine() -> None:
    from packaging.requirements import Requirement

    pinned = dict(line.split("==") for line in (ROOT / INSTALL["CONSTRAINTS"]).read_text().splitlines() if not line.startswith("#"))
    assert not any(name in ("torch", "torchvision") or name.startswith(("nvidia-c", "triton")) for name in pinned)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        wanted = Requirement(text)
        found = next((version for name, version in pinned.items() if name.lower().replace("_", "-") == wanted.name.lower()), None)
        assert wanted.name.startswith("torch") or (found is not None and wanted.specifier.contains(found)), text


@pytest.mark.parametrize(
    ("gpu", "cuda", "cpu_index", "said", "options"),
    [
        (True, True, False, "for the NVIDIA GPU of this machine; about 3.0 GB", []),
        (True, False, False, "without CUDA here; about 0.2 GB", []),
        (False, False, False, "without CUDA here; about 0.2 GB", []),
        (False, True, True, "no NVIDIA GPU here, so a CPU build", ["--index-url", "https://download.pytorch.org/whl/cpu"]),
        (False, True, False, "does not answer; about 3.0 GB to download. To avoid that", []),
    ],
)
def test_cuda_comes_where_there_is_a_gpu_or_no_other_build(gpu: bool, cuda: bool, cpu_index: bool, said: str, options: list[str]) -> None:
    line, found = INSTALL["build_of_torch"](gpu, cuda, cpu_index)
    assert said in line
    assert found == options


def test_make_asks_for_extras_that_exist_and_says_what_to_do_next() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "quick", "test", "docs"],
        cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "MAKEFLAGS": ""},
    )  # fmt: skip
    asked = {extra for line in done.stdout.splitlines() if "install.py" in line for extra in line.split()[-1].split(",")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert asked >= {"vision", "docs", "test"}
    assert asked <= set(project["optional-dependencies"])
    assert "+sweep=quick" in done.stdout
    assert "Now run `make run`" in done.stdout.replace("\\", "")


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Uv:
    """Uv, which finds what pip is set up to find, takes a cache of the user and this environment's versions."""
    versions = tmp_path_factory.mktemp("uv") / "constraints.txt"
    pinned = (ROOT / INSTALL["CONSTRAINTS"]).read_text()
    versions.write_text(pinned + f"torch=={version('torch')}\ntorchvision=={version('torchvision')}\n")
    set_up = {"UV_CONSTRAINT": str(versions), "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", ""), "UV_LINK_MODE": "symlink"}
    env = os.environ | set_up
    index = ["--extra-index-url", INSTALL["CPU_INDEX"]] if INSTALL["answers"](INSTALL["CPU_INDEX"]) else []

    def run(*words: str | Path) -> None:
        subprocess.run([sys.executable, "-m", "uv", *words, *(index if words[0] == "pip" else [])], env=env, cwd=ROOT, check=True)

    return run


@pytest.fixture(scope="module")
def wheel(uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--wheel", "--out-dir", folder)
    return next(folder.glob("*.whl"))


def without(*variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(variables)}


@pytest.mark.slow(first=True)
def test_the_wheel_holds_every_file_and_runs_the_quick_sweep_in_an_empty_environment(uv: Uv, wheel: Path, tmp_path: Path) -> None:
    held = {name.removeprefix("orchestrator/") if "/conf/" in name else name for name in zipfile.ZipFile(wheel).namelist()}
    listed = subprocess.run(
        ["git", "ls-files", "orchestrator", "tail_quality", "tasks", "conf"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(listed.split()) <= held
    empty, results = tmp_path / "empty", tmp_path / "results"
    uv("venv", "--quiet", "--python", sys.executable, empty)
    uv("pip", "install", "--quiet", "--python", empty, f"{wheel}[vision]")
    uv("pip", "install", "--quiet", "--python", empty, "--no-deps", "--require-hashes", "--requirement", "requirements/assets.txt")
    program = [empty / "bin" / "orchestrator", "+sweep=quick", f"results_dir={results}"]
    subprocess.run(program, cwd=tmp_path, env=without("PYTHON", "VIRTUAL_ENV"), check=True)
    assert len(list((results / "trials").iterdir())) == 2
    assert (results / "report.html").stat().st_size > 100_000


# With pandas, which costs every program that imports pyarrow 0.2 s.
WITH_PANDAS = """
from types import SimpleNamespace
from pandas import DataFrame, Series
import tail_quality as tq
from tasks.models.estimator import LoadedEstimator

rows = DataFrame({"x": [1, 8], "y": [0, 0]})
found = tq.measure(lambda frame: frame.x > 3, rows, [False, True], batch=2, rounds=1, say=None)
words = tq.measure(lambda word: word == word[::-1], Series(["noon", "word"]), [True, False], rounds=1, say=None)
assert (found.quality("60 s"), words.quality("60 s")) == (1, 1)
assert list(found.frame().columns)[:3] == ["trial", "round", "sample"]
# The columns of the table stand in another order than those of the estimator, and there is one more.
estimator = LoadedEstimator(SimpleNamespace(feature_names_in_=["x", "y"], predict=None))
assert list(estimator.preprocess([{"y": 0, "site": "north", "x": 1}]).columns) == ["x", "y"]
"""


@pytest.mark.slow
def test_the_wheel_passes_tests_on_the_newest_python(uv: Uv, wheel: Path, tmp_path: Path) -> None:
    uv("venv", "--quiet", "--python", NEWEST_PYTHON, tmp_path / "newest")
    uv("pip", "install", "--quiet", "--python", tmp_path / "newest", wheel, "hypothesis", "pandas", "pytest", "pytest-timeout")
    programs = tmp_path / "newest" / "bin"
    every = "import importlib, pkgutil, orchestrator as o; [importlib.import_module(m.name) for m in pkgutil.walk_packages(o.__path__, 'orchestrator.')]"
    env = without("PYTEST", "PYTHON", "VIRTUAL_ENV")
    for code in (every, WITH_PANDAS):
        subprocess.run([programs / "python", "-W", "error", "-P", "-c", code], env=env, check=True)
    tests = ["-m", "not slow", "--quiet", f"--basetemp={tmp_path / 'tests'}", "tests/configuration"]
    subprocess.run([programs / "pytest", *tests], cwd=ROOT, env=env, check=True)
