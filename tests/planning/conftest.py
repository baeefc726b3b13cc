import pytest

from orchestrator.machine.host import Machine
from orchestrator.subject.inspection import Inspection


@pytest.fixture
def inspection() -> Inspection:
    return Inspection(
        samples=20,
        held_bytes=1000,
        data_digest="d" * 64,
        model_digest="e" * 64,
        model_paths={},
        task_paths={"root": "/here/data"},
    )


@pytest.fixture
def machine() -> Machine:
    return Machine(
        host="box",
        cores=(0, 1, 2, 3),
        memory_bytes=2**30,
        device_memory={"cuda:0": 2**29, "GPU-1234-abcd": 2**29},
        numa={0: (0, 1), 1: (2, 3), 2: (8, 9)},
        labels={"zone": "a"},
    )
