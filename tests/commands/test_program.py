"""The program as a process of its own: exit codes, streams, what it imports, and a working directory with traps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FRAMEWORKS = {"torch", "torchvision", "onnxruntime", "tensorflow", "ray", "pandas", "scipy.stats", "scipy.special"}
PLAN = f"""
import sys
from orchestrator.__main__ import main
code = main(["plan", "+sweep=vision"])
print(code, sorted({FRAMEWORKS} & set(sys.modules)), file=sys.stderr)
"""


def test_a_plan_imports_no_framework_and_no_module_of_a_strangers_folder(tmp_path: Path) -> None:
    for name in ("__future__", "argparse", "numpy", "pyarrow", "tasks", "typing", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the current folder was imported')\n")
    done = subprocess.run([sys.executable, "-P", "-c", PLAN], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.stderr == "0 []\n"
    assert "8 trials, 0 infeasible" in done.stdout


WITHOUT_RAY = """
import json, sys
sys.modules["ray"] = None
from orchestrator.__main__ import main
print([main(words) for words in json.loads(sys.argv[1])], file=sys.stderr)
"""


def test_stored_results_need_no_ray(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("sample,inference_ms\n" + "".join(f"{number % 5},{number % 7 + 1}\n" for number in range(100)))
    imports = [["import", "times.csv", "--format", "table", "--task", "mine", f"results_dir={name}", "--quiet"] for name in "ab"]
    words = [*imports, ["report", "a"], ["compare", "a", "b"]]
    command = [sys.executable, "-c", WITHOUT_RAY, json.dumps(words)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 0]", done.stderr
