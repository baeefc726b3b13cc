"""Ray's own command line, whose nodes start no more than ours needs: ``python -P light_ray.py start ...`` for ``ray start ...``.

It needs Ray alone: a host's interpreter need not have this project. ``-P`` keeps this folder off the path.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

START_WORKER = str(Path(__file__).with_name("start_worker.py"))
UNASKED = ("start_api_server", "start_ray_client_server")
"""How Ray's node calls the start of its dashboard, also of one that is off, and of what serves drivers at ``ray://`` addresses."""


@contextmanager
def without(names: Sequence[str]) -> Iterator[None]:
    """Have Ray start no process besides those that run ours: the others take seconds to start, and time beside what is measured.

    Ray has no option for it. One that calls them otherwise starts them as ever, and nothing else changes.
    """
    from ray._private.node import Node

    before = {name: getattr(Node, name) for name in names if hasattr(Node, name)}
    for name in before:
        setattr(Node, name, lambda self, **options: None)
    try:
        yield
    finally:
        for name, start in before.items():
            setattr(Node, name, start)


@contextmanager
def started_lightly() -> Iterator[None]:
    """Have a Ray that is started meanwhile start its processes with our program. One that names its own otherwise keeps it."""
    from ray._private import ray_constants

    name = "SETUP_WORKER_FILENAME"
    before = getattr(ray_constants, name, None)
    if before is None or not sys.platform.startswith("linux"):
        yield
        return
    setattr(ray_constants, name, START_WORKER)  # a whole path: Ray joins it to its own folder
    try:
        yield
    finally:
        setattr(ray_constants, name, before)


if __name__ == "__main__":
    sys.modules["ray.serve"] = None  # type: ignore[assignment] # never called here, and longer to import than the rest
    from ray.scripts.scripts import main

    with ExitStack() as light:
        light.enter_context(without(UNASKED))
        light.enter_context(started_lightly())
        main()  # type: ignore[no-untyped-call]
