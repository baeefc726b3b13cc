"""A small process between a timed process and the server it has started: it ends the server, however the timed process ends.

It runs as a file of its own, ``python -ISP server_keeper.py OWNER STARTED``, with the owner's process id and when that began, by which it
is found again. Its first line of input is the order, as JSON; the end of its input, or of its owner, has the server ended: SIGTERM to the
server's process group, and after ``stop_s`` SIGKILL to all that is left. It reports on its output, one JSON object a line.

Nothing outlives it: it adopts what the server leaves behind (PR_SET_CHILD_SUBREAPER), whatever group or session that has gone to, and where
it is killed itself, the kernel kills the server (PR_SET_PDEATHSIG). It imports nothing besides the standard library.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals meant for the program, which the keeper ignores."""
LOOK_AGAIN_S = 0.02
"""How often to look while the server ends."""
WITHOUT_HANDLES_S = 0.5
"""How often to look whether the server lives, where the kernel has no handles for processes."""
KILL_S = 10.0
"""How long what was killed may take to be gone."""


class Kept:
    """The server's process, and every process that it has left to the keeper."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self.code: int | None = None
        process.returncode = 0  # its end is taken in here, among those of all others

    def reap(self) -> None:
        """Take in every process that has ended."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self.pid:
                    self.code = os.waitstatus_to_exitcode(status)

    def end(self, stop_s: float) -> bool:
        """End all, and return whether some had to be killed."""
        told = self.code is not None
        if told:
            send(descendants(), signal.SIGTERM)
        else:
            self._signal_group(signal.SIGTERM)
        until = time.monotonic() + stop_s
        while time.monotonic() < until:
            self.reap()
            left = descendants()
            if not left:
                return False
            if self.code is not None and not told:  # what has left the group has not heard of it
                told = True
                send(left, signal.SIGTERM)
            time.sleep(LOOK_AGAIN_S)
        until = time.monotonic() + KILL_S
        while time.monotonic() < until:
            send(descendants(), signal.SIGKILL)
            self.reap()
            if not descendants():
                break
            time.sleep(LOOK_AGAIN_S)
        return True

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def descendants() -> list[int]:
    """Return the living processes that descend from this one."""
    table: dict[int, tuple[int, bool]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # The name, in parentheses, may hold anything.
                state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                table[int(folder.name)] = int(parent), state not in ("Z", "X")
    return living_below(os.getpid(), table)


def living_below(process: int, table: Mapping[int, tuple[int, bool]]) -> list[int]:
    """Return the living processes below one, from the parent of each and whether it lives.

    One that has ended counts as a parent: it may have ended after its child was looked at, which was then still its own.
    """
    found, own = [], {process}
    while own:
        own = {pid for pid, (parent, _) in table.items() if parent in own}
        found += sorted(own)
    return [pid for pid in found if table[pid][1]]


def send(pids: list[int], number: int) -> None:
    """Send a signal to processes; those that are gone are passed over."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def start(order: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start the server in a session of its own. Raises OSError where there is no such program."""
    keeper = os.getpid()

    def prepare() -> None:
        control(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(127)
        for number in SENT:
            signal.signal(number, signal.SIG_DFL)  # what is ignored here would stay so there
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    with Path(order["log"]).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - the user's own command
            order["command"], env=order["environment"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            preexec_fn=prepare,
        )  # fmt: skip


def control(option: int, value: int) -> None:
    """Call prctl, where there is one."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def handle(pid: int) -> int | None:
    """Return a handle that becomes readable when a process ends, None where the kernel has none or the process is gone."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def alive(pid: int) -> bool:
    """Return whether there is a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def watch(server: Kept, owner: int) -> None:
    """Sleep until the server ends, or the owner does, or says so by closing the pipe."""
    waited = select.poll()
    waited.register(0, select.POLLHUP | select.POLLIN)
    handles = {pid: handle(pid) for pid in (owner, server.pid)}
    for found in handles.values():
        if found is not None:
            waited.register(found, select.POLLIN)
    pause_s = None if all(found is not None for found in handles.values()) else WITHOUT_HANDLES_S
    while True:
        ready = {descriptor for descriptor, _ in waited.poll(None if pause_s is None else 1000 * pause_s)}
        server.reap()
        if server.code is not None or not alive(owner) or handles[owner] in ready:
            return
        if 0 in ready and not os.read(0, 4096):
            return


def tell(**said: Any) -> None:
    """Report to the owner, who may be gone."""
    with suppress(OSError):
        os.write(1, json.dumps(said).encode() + b"\n")


def main(owner: int) -> None:
    """Do as the order says, until there is nothing left of it."""
    line = b""
    while not line.endswith(b"\n"):
        read = os.read(0, 65536)
        if not read:
            return
        line += read
    order = json.loads(line)
    # No child of the timed process: Ray kills those first, and nothing could end the server in its own way.
    if os.fork():
        os._exit(0)
    os.setsid()
    for number in SENT:
        signal.signal(number, signal.SIG_IGN)
    control(PR_SET_CHILD_SUBREAPER, 1)
    if order["cores"]:
        os.sched_setaffinity(0, order["cores"])
    try:
        server = Kept(start(order))
    except OSError as error:
        tell(refused=error.strerror or str(error))
        return
    tell(pid=server.pid, keeper=os.getpid())
    watch(server, owner)
    if server.code is not None:
        tell(ended=server.code)
    killed = server.end(order["stop_s"])
    server.reap()
    tell(gone=server.code, killed=killed)


if __name__ == "__main__":
    main(int(sys.argv[1]))
