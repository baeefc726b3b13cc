"""Stands in for the agent of Ray's dashboard, which no node of ours has: a raylet needs a process in its place, and ends with it.

It sleeps until the raylet has ended, whose process id Ray puts into the environment.
"""

import os
import select
import time

PARENT = "RAY_RAYLET_PID"
LOOK_EVERY_S = 1.0


def sleep_until_gone(process: int) -> None:
    """Return once a process has ended."""
    try:
        select.select([os.pidfd_open(process)], [], [])
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # a system without such files
        while os.getppid() == process:
            time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    sleep_until_gone(int(os.environ.get(PARENT, os.getppid())))
