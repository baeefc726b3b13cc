"""The pages of docs/ are true: their links lead somewhere, their commands run, and they know every figure."""

import re
import shlex
import subprocess
import sys
from html import escape
from pathlib import Path

import pytest
from program import orchestrator

from orchestrator.report import charts

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
READING = (ROOT / "docs" / "reading-a-report.md").read_text("utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
# Two rounds of four pictures in this process: what a command does, without what it takes to know anything.
SHORT = (
    "cluster=inline", "measurement.schedule=sequential", "measurement.rule=rounds", "measurement.min_rounds=2",
    "measurement.max_rounds=2", "measurement.warmup_rounds=1", "task.limit=4",
)  # fmt: skip


def blocks(page: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def test_the_readme_is_short_and_begins_with_make_quick() -> None:
    assert sum(len(line.split()) for line in README.splitlines() if not line.startswith("|")) <= 900
    assert blocks(README)[0].startswith("make quick ")


def test_every_figure_is_explained() -> None:
    told = re.findall(r"^\| [A-Z][^|]* \| `([a-z-]+)` \|", READING, re.MULTILINE)
    drawn = [
        name
        for path in Path(charts.__path__[0]).glob("*.py")
        for name in re.findall(r'^ +name="([a-z-]+)"', path.read_text(), re.MULTILINE)
    ]
    assert sorted(told) == sorted(drawn)


def test_the_tables_of_the_tutorial_fit_a_terminal() -> None:
    shown = [line for block in blocks(TUTORIAL) for line in block.splitlines() if not line.startswith("python ")]
    assert max(map(len, shown)) <= 80


@pytest.mark.slow
def test_every_command_of_the_tutorial_runs(tmp_path: Path) -> None:
    commands = [line for block in blocks(TUTORIAL) for line in block.splitlines() if line.startswith(("make ", "python "))]
    assert len(commands) >= 9
    for command in commands:
        words = shlex.split(command)[3:]
        if command == "make quick":
            recipe = subprocess.run(["make", "--dry-run", "quick"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
            (line,) = [line for line in recipe.splitlines() if " -m orchestrator " in line]
            words = shlex.split(line)[3:]
        if words[0].startswith(("+", "-m", "model=")):
            shortened = {word.partition("=")[0] for word in SHORT}
            words = [*(word for word in words if word.partition("=")[0] not in shortened), *SHORT]
        words = ["measurement.repeat=2" if word.startswith("measurement.repeat=") else word for word in words]
        done = orchestrator(*words, cwd=tmp_path)
        # `doctor` says by its exit code what the machine is like.
        assert done.returncode in ({0, 1} if words[0] == "doctor" else {0}), f"{command}: {done.stderr}"
        assert done.stdout
    assert {"report.html", "figures"} <= {path.name for path in (tmp_path / "results" / "proof").iterdir()}
    assert (tmp_path / "results" / "decision" / "trials.csv").exists()


@pytest.mark.slow
def test_the_site_builds_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    recipe = subprocess.run(["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in recipe.splitlines() if " -m sphinx " in line]
    words = shlex.split(line)
    assert "--fail-on-warning" in words
    done = subprocess.run([sys.executable, *words[1:-1], str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert 'url=docs/site/index.html"' in (tmp_path / "index.html").read_text("utf-8")
    assert (tmp_path / "docs" / "site" / "index.html").exists()
    page = (tmp_path / "docs" / "tutorial.html").read_text("utf-8")
    assert [line for block in blocks(TUTORIAL) for line in block.splitlines() if escape(line, quote=False) not in page] == []
