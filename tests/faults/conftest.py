from pathlib import Path

import program
import pytest
from faulty_campaigns import LOAD, faulty


@pytest.fixture(scope="session")
def faulted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, program.Done]:
    """A campaign under Ray with faults that end or block a process of its own, in round 7: each without load, and under load."""
    folder = tmp_path_factory.mktemp("faulted")
    load = {name: ["closed" if name == "load" else "null"] * 2 + [value] * 2 for name, value in LOAD.items()}
    return folder / "r", program.orchestrator(*faulty(folder, {"model.fault": ["hang", "kill"] * 2, **load}), cwd=folder)
