"""Save the coverage of a worker of Ray every second, because Ray kills its workers."""

import sys
import threading
import time

import coverage


def save() -> None:
    while True:
        time.sleep(1)
        found = coverage.Coverage.current()
        if found:
            found.save()


if any(word.endswith("default_worker.py") for word in sys.orig_argv):
    threading.Thread(target=save, daemon=True).start()
