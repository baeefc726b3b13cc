"""The head of an embedded Ray: ``python -P head.py FOLDER ADDRESS`` starts it and ends as soon as one of its processes does.

A process of its own, because Ray's start keeps a Python busy and installs handlers of signals; its keeper ends all that descends from it.
It writes Ray's address into ``FOLDER/address``, and what it has lost on stderr.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import ray
from ray._private.node import Node

UNASKED = ("start_api_server", "start_monitor", "start_log_monitor")
"""How Ray calls the start of its dashboard, which it also starts where that is off, of what adds and removes nodes, and of what sends lines
of log files to drivers. Nothing here asks for them and no option leaves them out. These names are private, the only ones of Ray's that are
used: with the three, `ray.init` and the first call take 1.4 s longer (median of three pairs on 2 cores, 4.5 instead of 2.9 s of processor
time), `ray.shutdown` 1.0 s longer, and an idle Ray 20 instead of 10 ms of processor time a second beside what is timed. A Ray without these
names starts what it starts."""


def main(folder: Path, address: str) -> None:
    """Start Ray in ``folder`` at a loopback ``address``, and return when a process of it has died."""
    for name in UNASKED:
        if hasattr(Node, name):
            setattr(Node, name, lambda self, **options: None)
    ray.init(
        address="local",
        _node_ip_address=address,
        _temp_dir=str(folder),
        num_cpus=1,  # timed actors ask for none, and of two Ray starts two processes where one is asked for
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        object_store_memory=256 * 2**20,
    )
    names = {child.pid: child.name() for child in psutil.Process().children()}
    written = folder / "address.new"
    written.write_text(ray.get_runtime_context().gcs_address)
    written.rename(folder / "address")
    with suppress(ChildProcessError):
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        print(f"the embedded Ray has lost its process {names.get(pid, pid)} ({how})", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
    os._exit(1)  # not through Ray's shutdown, which would wait for what is gone
