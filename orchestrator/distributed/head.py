"""The head of an embedded Ray: ``python -P head.py FOLDER ADDRESS`` starts it and ends as soon as it has lost what it needs.

A process of its own, because Ray's start keeps a Python busy and installs handlers of signals; its keeper ends all that descends from it.
It writes Ray's address into ``FOLDER/address``, and what it has lost on stderr.
"""

import os
import sys
from pathlib import Path

import psutil
import ray

# Ray also starts a dashboard's server and two monitors, whose end changes nothing. No public call of Ray names its processes.
NEEDED = ("gcs_server", "raylet")


def main(folder: Path, address: str) -> None:
    """Start Ray in ``folder`` at a loopback ``address``, and return when a process of it has died."""
    ray.init(
        address="local",
        # No public name keeps Ray off the machine's other addresses, nor its files in a folder of ours.
        _node_ip_address=address,
        _temp_dir=str(folder),
        num_cpus=1,  # timed actors ask for none, and of two Ray starts two processes where one is asked for
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        object_store_memory=256 * 2**20,
    )
    names = {child.pid: child.name() for child in psutil.Process().children() if child.name() in NEEDED}
    written = folder / "address.new"
    written.write_text(ray.get_runtime_context().gcs_address)
    written.rename(folder / "address")
    pid = status = 0
    while pid not in names:
        pid, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    print(f"the embedded Ray has lost its process {names[pid]} ({how})", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
    os._exit(1)  # not through Ray's shutdown, which would wait for what is gone
