"""``death_after_each_write.py DIR``: a campaign into DIR/0, DIR/1, ... whose driver dies after so many files have got their names.

Each is gone on with by another driver. The last one's driver lives to the end, since there are no more files.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import fake_clock_campaign

DEAD = 9
ROUNDS = 3


def in_child(action: Callable[[], None]) -> int:
    """Do something in a process of its own and return its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        action()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def dying(directory: Path, after: int) -> None:
    """Run the campaign until so many files and folders have got their names, and then no longer."""
    left = iter(range(after))

    def then_die(give_name: Callable[..., None]) -> Callable[..., None]:
        def named(*paths: object, **options: object) -> None:
            if next(left, None) is None:
                os._exit(DEAD)
            give_name(*paths, **options)

        return named

    os.replace, os.rename = then_die(os.replace), then_die(os.rename)
    fake_clock_campaign.main(directory)


def main(folder: Path) -> None:
    fake_clock_campaign.ROUNDS = ROUNDS
    # All that is imported and read once in a process is so here, before the many that are made of this one.
    with tempfile.TemporaryDirectory() as first:
        fake_clock_campaign.main(Path(first) / "results")
    for after in itertools.count():
        directory = folder / str(after)
        directory.mkdir()
        if in_child(partial(dying, directory / "results", after)) != DEAD:
            break
        if in_child(partial(fake_clock_campaign.main, directory / "results")):
            sys.exit(f"not gone on with after {after} files")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
