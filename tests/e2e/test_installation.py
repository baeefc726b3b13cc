"""What `make quick`, `make run` and `make test` install, and which build of torch they take."""

import os
import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = runpy.run_path(str(ROOT / "requirements" / "install.py"))


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
