"""``python -m tasks.assets``: what each task and model needs, what is there, and the command that brings the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from rich.console import Console
from rich.table import Table

import tasks
import tasks.models
import tasks.runtimes
from tasks.packages import ASSETS, USER, Need, extra_command, install_command, installed_version

MISSING = "missing"


def needs() -> Iterator[Need]:
    """Yield what the modules of tasks, models and runtimes name in ``NEEDS``."""
    for package in (tasks, tasks.models, tasks.runtimes):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            # Importing is cheap: no module of tasks imports a framework at its top.
            if not module.ispkg and module.name != "tasks.assets":
                yield from getattr(import_module(module.name), "NEEDS", ())


def state(need: Need) -> str:
    """Return what is there: a version, ``missing``, or that it is the user's to bring."""
    return "yours" if need.brought_by == USER else installed_version(need.source) or MISSING


def main() -> int:
    """Print the table. Return 0 where every package is there, else 1."""
    listed = {need: state(need) for need in needs()}
    table = Table(box=None, pad_edge=False)
    for column in ("needed by", "package or file", "for", "there"):
        table.add_column(column, overflow="fold")
    for need, there in listed.items():
        table.add_row(need.needed_by, need.source, need.what_for, there)
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    missing = sorted({need.brought_by for need, there in listed.items() if there == MISSING})
    for brought_by in missing:
        command = install_command() if brought_by == ASSETS else extra_command(brought_by)
        console.print(f"\nbring what is missing of {brought_by}: {command}", soft_wrap=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
