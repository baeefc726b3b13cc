"""Ray's own command line, whose nodes start no more than ours needs: ``python -P light_ray.py start ...`` for ``ray start ...``.

It needs Ray alone: a host's interpreter need not have this project. ``-P`` keeps this folder off the path.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

START_WORKER = str(Path(__file__).with_name("start_worker.py"))
UNASKED = ("start_api_server", "start_ray_client_server")
"""How Ray's node calls the start of its dashboard, also of one that is off, and of what serves drivers at ``ray://`` addresses."""


@contextmanager
def replaced(owner: object, makers: Mapping[str, Callable[[Any], Any]]) -> Iterator[None]:
    """Have something of Ray's be what is made of it, meanwhile. A Ray that calls it otherwise keeps it, and nothing else changes."""
    before = {name: getattr(owner, name) for name in makers if hasattr(owner, name)}
    for name, its_own in before.items():
        setattr(owner, name, makers[name](its_own))
    try:
        yield
    finally:
        for name, its_own in before.items():
            setattr(owner, name, its_own)


def without(names: Sequence[str]) -> AbstractContextManager[None]:
    """Have Ray start no process besides those that run ours: the others take seconds to start, and time beside what is measured.

    Ray has no option for it.
    """
    from ray._private.node import Node

    return replaced(Node, dict.fromkeys(names, lambda start: lambda self, **options: None))


def started_lightly() -> AbstractContextManager[None]:
    """Have a Ray that is started meanwhile start its processes with our program."""
    from ray._private import ray_constants

    if not sys.platform.startswith("linux"):
        return nullcontext()
    return replaced(ray_constants, {"SETUP_WORKER_FILENAME": lambda name: START_WORKER})  # a whole path: Ray joins it to its own folder


if __name__ == "__main__":
    sys.modules["ray.serve"] = None  # type: ignore[assignment] # never called here, and longer to import than the rest
    from ray.scripts.scripts import main

    with without(UNASKED), started_lightly():
        main()  # type: ignore[no-untyped-call]
