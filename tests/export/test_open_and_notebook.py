import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator
from orchestrator.analysis import python_interface

NOTEBOOK = Path(__file__).parents[2] / "examples" / "read_results.ipynb"


@pytest.fixture
def in_front_of(monday: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which ``results/latest`` is a campaign."""
    (monday.parent / "results").mkdir()
    (monday.parent / "results" / "latest").symlink_to(monday)
    monkeypatch.chdir(monday.parent)
    return monday.parent


def test_examples_in_the_documentation_run(in_front_of: Path) -> None:
    for module in (orchestrator, python_interface):
        found = doctest.testmod(module)
        assert (found.failed, found.attempted > 2) == (0, True), module


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_a_real_campaign_gave(in_front_of: Path) -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    # As a kernel does: one cell after the other in one namespace, in a process of its own.
    sources = json.dumps(["".join(cell["source"]) for cell in cells])
    runner = f"import json\nnames = {{}}\nfor source in json.loads({sources!r}):\n    exec(compile(source, 'cell', 'exec'), names)"
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", runner], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "null2" in done.stdout
