"""A trial of a small model on pictures of cats, which lie nowhere: it is planned, and never measured."""

from typing import Any

from null_trials import null_trial

from orchestrator.configuration.config import Trial
from orchestrator.machine.host import Machine
from orchestrator.subject.inspection import Inspection

BLOCKS: dict[str, dict[str, Any]] = {
    "model": {"name": "small", "kind": "pictures", "runtimes": ["torch", "onnxruntime"], "path": None},
    "task": {"name": "cats", "kind": "pictures", "root": "data"},
    "system": {"name": "cpu_1core", "cores": 1},
}
INSPECTION = Inspection(
    samples=20,
    held_bytes=1000,
    data_digest="d" * 64,
    model_digest="e" * 64,
    model_paths={},
    task_paths={"root": "/here/data"},
)
MACHINE = Machine(
    host="box",
    cores=(0, 1, 2, 3),
    memory_bytes=2**30,
    device_memory={"cuda:0": 2**29, "GPU-1234-abcd": 2**29},
    numa={0: (0, 1), 1: (2, 3), 2: (8, 9)},
    labels={"zone": "a"},
)


def make_trial(**keys: Any) -> Trial:
    """Make a trial from keys such as ``measurement__batch=2``."""
    blocks = {name: dict(block) for name, block in BLOCKS.items()}
    for key, value in keys.items():
        block, _, name = key.partition("__")
        blocks.setdefault(block, {})[name] = value
    return null_trial(**blocks)
