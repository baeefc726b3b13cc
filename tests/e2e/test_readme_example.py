"""The README's model, written and started as a newcomer would: from a folder outside the package, through the command line."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
FILE = re.compile(r"`(my_\w+/[\w/]+\.(?:py|yaml))`[^`]*```(?:python|yaml)\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^python -m orchestrator (--config-dir my_conf .*)$", re.MULTILINE)


@pytest.mark.slow
def test_the_worked_example_runs_from_a_folder_outside_the_package(tmp_path: Path) -> None:
    text = README.read_text()
    files = FILE.findall(text)
    assert [Path(name).suffix for name, _ in files] == [".py", ".yaml"]
    for name, content in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (command,) = COMMAND.findall(text)
    short = ["task.limit=200", "measurement.rule=rounds", "measurement.min_rounds=20", "measurement.max_rounds=20", "results_dir=out"]
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *shlex.split(command), *short],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["Report:", "out/report.html"]
    (path,) = (tmp_path / "out" / "trials").glob("*/trial.json")
    trial = json.loads(path.read_text())
    assert trial["state"] == "done"
    assert trial["trial"]["model"]["target"] == "word_counter:WordCounter"
    assert 0.5 < trial["ideal"]["accuracy"] < 0.8
