"""Models of the page for users, written and started as a newcomer would: from a folder outside the package, through the command line.

The network runs under the embedded Ray, in a process of its own; the other model in this one.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from program import orchestrator

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"`(my_\w+/[\w/]+\.(?:py|yaml))`[^`]*```(?:python|yaml)\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^python -m orchestrator (--config-dir my_conf .*)$", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "samples", "least"), [("plain_net", 20, 0.0), ("word_counter", 200, 0.5)])
def test_the_worked_example_runs_from_a_folder_outside_the_package(model: str, samples: int, least: float, tmp_path: Path) -> None:
    text = (ROOT / "docs/your-model.md").read_text("utf-8")
    files = [(name, content) for name, content in FILE.findall(text) if Path(name).stem == model]
    assert {Path(name).suffix for name, _ in files} == {".py", ".yaml"}
    for name, content in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (command,) = (command for command in COMMAND.findall(text) if f"model={model} " in command)
    short = f"task.limit={samples} measurement.rule=rounds measurement.min_rounds=3 measurement.max_rounds=3 results_dir=out"
    words = shlex.split(f"{command} {short}")
    if model == "plain_net":
        program = [sys.executable, "-m", "orchestrator", *words]
        done: Any = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    else:
        done = orchestrator(*words, "cluster=inline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (trial,) = (json.loads(path.read_text()) for path in (tmp_path / "out" / "trials").glob("*/trial.json"))
    assert trial["state"] == "done"
    assert trial["trial"]["model"]["name"] == model
    assert least <= next(iter(trial["ideal"].values())) < 0.8
