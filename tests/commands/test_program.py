"""The program as a process of its own: exit codes, streams, what it imports, and a working directory with traps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

VISION = ["plan", "+sweep=vision"]


def run(words: list[str], folder: Path, *how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *how, "-m", "orchestrator", *words], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )


def test_a_plan_answers_on_stdout_alone(tmp_path: Path) -> None:
    done = run(VISION, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "8 trials, 0 infeasible" in done.stdout
    assert done.stdout.count("-imagenet_samples-") == 8
    assert list(tmp_path.iterdir()) == []


def test_a_plan_imports_no_framework_and_no_ray(tmp_path: Path) -> None:
    code = (
        "import sys; from orchestrator.__main__ import main; assert main(['plan', '+sweep=vision']) == 0; "
        "print(sorted({'torch', 'torchvision', 'onnxruntime', 'tensorflow', 'ray', 'pandas', 'scipy.stats', 'scipy.special'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "[]\n"


def test_no_module_of_a_strangers_folder_is_imported(tmp_path: Path) -> None:
    for name in ("__future__", "argparse", "numpy", "pyarrow", "tasks", "typing", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the current folder was imported')\n")
    done = run(VISION, tmp_path, "-P")
    assert (done.returncode, done.stderr) == (0, "")
    assert "8 trials, 0 infeasible" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="a pipe that is closed early looks different elsewhere")
def test_a_reader_that_leaves_early_changes_nothing(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "--info"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, timeout=600, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


WITHOUT_RAY = "import sys; sys.modules['ray'] = None; from orchestrator.__main__ import main; sys.exit(main(sys.argv[1:]))"


def test_stored_results_need_no_ray(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("sample,inference_ms\n" + "".join(f"{number % 5},{number % 7 + 1}\n" for number in range(100)))
    met = Path(__file__).parents[2] / "docs" / "examples" / "requirements" / "met.yaml"
    for words, code in (
        (["import", "times.csv", "--format", "table", "--task", "mine", "results_dir=a"], 0),
        (["import", "times.csv", "--format", "table", "--task", "mine", "results_dir=b"], 0),
        (["report", "a"], 0),
        (["compare", "a", "b"], 0),
        (["assess", "a", "--requirements", str(met)], 3),
    ):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RAY, *words], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == code, done.stderr
