from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.configuration.config import Trial
from orchestrator.machine.host import Machine
from orchestrator.subject.inspection import Inspection

MakeTrial = Callable[..., Trial]

BLOCKS: dict[str, dict[str, Any]] = {
    "model": {"name": "small", "kind": "pictures", "target": "a.b:Model", "runtimes": ["torch", "onnxruntime"], "path": None},
    "task": {"name": "cats", "kind": "pictures", "target": "a.b:Task", "root": "data"},
    "system": {"name": "cpu_1core", "cores": 1},
    "runtime": {"name": "torch"},
    "measurement": {},
}


@pytest.fixture
def make_trial() -> MakeTrial:
    """Make a trial from keys such as ``measurement__batch=2``."""

    def make(**keys: Any) -> Trial:
        blocks = {name: dict(block) for name, block in BLOCKS.items()}
        for key, value in keys.items():
            block, _, name = key.partition("__")
            blocks[block][name] = value
        return Trial.model_validate(blocks)

    return make


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
