"""A trial of a small model on pictures of cats, which lie nowhere: it is planned, and never measured."""

from typing import Any

from null_trials import null_trial

from orchestrator.configuration.config import Trial

BLOCKS: dict[str, dict[str, Any]] = {
    "model": {"name": "small", "kind": "pictures", "runtimes": ["torch", "onnxruntime"], "path": None},
    "task": {"name": "cats", "kind": "pictures", "root": "data"},
    "system": {"name": "cpu_1core", "cores": 1},
}


def make_trial(**keys: Any) -> Trial:
    """Make a trial from keys such as ``measurement__batch=2``."""
    blocks = {name: dict(block) for name, block in BLOCKS.items()}
    for key, value in keys.items():
        block, _, name = key.partition("__")
        blocks.setdefault(block, {})[name] = value
    return null_trial(**blocks)
