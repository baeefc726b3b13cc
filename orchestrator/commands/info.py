"""``--info``: the names of all that can be chosen."""

from __future__ import annotations

from orchestrator.commands.arguments import Arguments
from orchestrator.composition import list_choices


def execute(arguments: Arguments) -> int:
    """Print every group with its choices. Returns the exit code."""
    for group, names in list_choices(arguments.config_dirs).items():
        print(f"{group}: {', '.join(names)}")  # noqa: T201
    return 0
