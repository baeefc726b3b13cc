from pathlib import Path

import fake_clock_campaign
import program
import pytest
from faulty_campaigns import LOAD, faulty

from orchestrator.subject.targets import code_of_its_own


@pytest.fixture(scope="session")
def faulted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, program.Done]:
    """A campaign under Ray with faults that end or block a process of its own, in round 7: each without load, and under load."""
    folder = tmp_path_factory.mktemp("faulted")
    load = {name: ["closed" if name == "load" else "null"] * 2 + [value] * 2 for name, value in LOAD.items()}
    return folder / "r", program.orchestrator(*faulty(folder, {"model.fault": ["hang", "kill"] * 2, **load}), cwd=folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign on a fake clock that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("finished") / "results"
    with code_of_its_own():
        fake_clock_campaign.main(folder)
    return folder
