"""Save the coverage of a worker of Ray and of its head every half second, because both are killed."""

import sys
import threading
import time

import coverage


def save() -> None:
    while True:
        time.sleep(0.5)
        found = coverage.Coverage.current()
        if found:
            found.save()


if any(word.endswith(("default_worker.py", "distributed/head.py")) for word in sys.orig_argv):
    threading.Thread(target=save, daemon=True).start()
