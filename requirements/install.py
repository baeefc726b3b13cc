"""Install this checkout with some of its extras, and say beforehand what comes, how much it is and how long it takes.

    PYTHON requirements/install.py EXTRA[,EXTRA...]

It runs in the Python of the virtual environment that it installs into, and needs the standard library alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PATIENCE_S = 3
CONSTRAINTS = "requirements/constraints.txt"
"""Versions that the checks ran with; torch is chosen below."""
CUDA = ("nvidia-", "cuda-", "triton")
# Downloads of torch 2.15 and torchvision 0.29 for Linux on x86-64, by the Content-Length of each file on PyPI, November 2026.
CUDA_SIZE = "about 3.0 GB to download"
CPU_SIZE = "about 0.2 GB to download"

# What a fresh environment takes on disk without CUDA (`du`), and how long on 2 busy cores, November 2026.
RUN_SIZE = "2 GB on disk, 2 to 5 minutes"
TEST_SIZE = "5 GB on disk, 6 to 12 minutes"


def brings_cuda(report: dict[str, Any]) -> bool:
    """Return whether pip's report of what it would install names a package of CUDA."""
    return any(item["metadata"]["name"].lower().startswith(CUDA) for item in report["install"])


def build_of_torch(gpu: bool, cuda: bool, cpu_index: bool) -> tuple[str, list[str]]:
    """Return which build of torch to take: a line that says it, and pip's options for a step of its own; none if no step is needed.

    Parameters
    ----------
    gpu
        whether the machine has an NVIDIA GPU.
    cuda
        whether pip, as it is set up here, would take a build with CUDA.
    cpu_index
        whether the index of CPU builds answers.
    """
    if not cuda:
        return f"torch: pip finds a build without CUDA here; {CPU_SIZE}.", []
    if gpu:
        return f"torch: with CUDA, for the NVIDIA GPU of this machine; {CUDA_SIZE}.", []
    if cpu_index:
        return f"torch: no NVIDIA GPU here, so a CPU build from {CPU_INDEX}; {CPU_SIZE}.", ["--index-url", CPU_INDEX]
    return (
        f"torch: with CUDA although there is no NVIDIA GPU here, since {CPU_INDEX} does not answer; {CUDA_SIZE}. "
        "To avoid that, give pip a CPU build: PIP_FIND_LINKS=FOLDER with its wheels, or PIP_INDEX_URL=MIRROR.",
        [],
    )


def has_gpu() -> bool:
    """Return whether nvidia-smi lists a GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    done = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode == 0 and "GPU" in done.stdout


def answers(index: str) -> bool:
    """Return whether a package index answers within a few seconds."""
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=PATIENCE_S) as page:  # noqa: S310
            return bool(page.status == 200)
    except OSError:
        return False


def pip(*words: str) -> str:
    """Run pip and return what it prints; its failure ends this program with pip's own words and exit code."""
    done = subprocess.run([sys.executable, "-m", "pip", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def has_torch() -> bool:
    """Return whether torch is already installed here."""
    return any(Path(folder, "torch", "version.py").exists() for folder in sys.path)


def frameworks() -> list[str]:
    """Return the requirements of the vision sweep that come with CUDA or without."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    return [requirement for requirement in extras["vision"] if requirement.startswith("torch")]


def main(extras: str) -> None:
    """Install the program with these extras."""
    sizes = TEST_SIZE if "test" in extras.split(",") else RUN_SIZE
    say(f"Installing into {os.path.relpath(sys.prefix)} ({extras}): without CUDA {sizes}; once only.")
    if not has_torch():
        plan = json.loads(pip("install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-", *frameworks()))
        cuda = brings_cuda(plan)
        gpu = has_gpu()
        line, options = build_of_torch(gpu, cuda, cuda and not gpu and answers(CPU_INDEX))
        say(line)
        if options:
            pip("install", "--quiet", *options, *frameworks())
    pip("install", "--quiet", "--constraint", CONSTRAINTS, "--editable", f".[{extras}]")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
