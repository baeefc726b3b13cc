"""A small process that outlives a program and ends what that has started, however the program ends: a server, the embedded Ray, files.

It runs as a file of its own, ``python -ISP keeper.py OWNER STARTED STOP_S CORES [COMMAND...]``, with its owner's process id and when that
began, by which it is found again. Each line of its input is a file or folder to delete at the end, as JSON. The end of its input, or of its
owner, has the command ended: SIGTERM to its process group, and after ``STOP_S`` SIGKILL to all that is left. It reports on its output, one
JSON object a line; the command has the keeper's environment and folder, and writes where the keeper's stderr leads.

No process outlives it: it adopts what the command leaves behind (PR_SET_CHILD_SUBREAPER), whatever group or session that has gone to, and
where it is killed itself, the kernel kills the command (PR_SET_PDEATHSIG). It imports nothing besides the standard library.
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

LIBRARY = ctypes.CDLL(None)  # the C library of this process
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# How often to look while processes end.
LOOK_AGAIN_S = 0.02
# How long what was killed may take to be gone.
KILL_S = 10.0
# How long the keeper may take to be gone beyond what its command is given.
KEEPER_S = KILL_S + 5.0
# Two readings of when a process began differ by less.
SAME_START_S = 1.0


class Keeper:
    """The owner's end: starts a command, or none, to delete files. Raises OSError where that cannot be started. ``end`` must be called.

    The command writes into ``log``. ``on_end`` is called in a thread when the command has ended of its own, with how.
    """

    def __init__(
        self,
        command: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        cores: Sequence[int] = (),
        log: IO[bytes] | int = subprocess.DEVNULL,
        stop_s: float = 0.0,
        on_end: Callable[[str], None] = lambda how: None,
    ) -> None:
        import psutil

        # Whether some of its processes had to be killed: None until it is ended, and where its keeper was killed.
        self.killed: bool | None = None
        self._how: str | None = None
        self._over = threading.Event()
        self._stop_s, self._on_end = stop_s, on_end
        owner = psutil.Process()
        words = [str(owner.pid), repr(owner.create_time()), str(stop_s), ",".join(map(str, cores)), *command]
        self._process = subprocess.Popen(  # noqa: S603 - our own file in our own Python
            [sys.executable, "-ISP", __file__, *words], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        self._process.wait()  # its first process; the second one, which is nobody's child, stays
        assert self._process.stdout is not None
        begun = json.loads(self._process.stdout.readline() or '{"refused": "its keeper could not be started"}')
        if "refused" in begun:
            with self._process:
                raise OSError(begun["refused"])
        # Of the command, and of the keeper.
        self.pid: int | None = begun["pid"]
        self.own_pid: int = begun["keeper"]
        self._hears = threading.Thread(target=self._hear, name="hears a keeper", daemon=True)
        self._hears.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def remove_at_end(self, path: Path) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # the keeper has been ended: what is left goes at the next start
            self._process.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
            self._process.stdin.flush()

    def how_it_ended(self, within_s: float = 0.0) -> str | None:
        """Return how the command has ended of its own, None while it runs."""
        self._over.wait(within_s)
        return self._how

    def end(self) -> None:
        """End the command and all its processes, delete what was to be deleted, and wait until that is done. Idempotent."""
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            return
        with suppress(OSError):
            self._process.stdin.close()
        self._hears.join(self._stop_s + KEEPER_S)
        if self._hears.is_alive():
            send([self.own_pid], signal.SIGKILL)
        if self.killed is None and self.pid is not None:
            send([-self.pid], signal.SIGKILL)

    def _hear(self) -> None:
        """Take in what the keeper reports, up to its end."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for said in map(json.loads, output):
                if "ended" in said:
                    self._tell(described(said["ended"]))
                else:
                    self.killed = said["killed"]
        if self.killed is None:
            self._tell("its keeper was killed")

    def _tell(self, how: str) -> None:
        if self._how is None:
            self._how = how
            self._over.set()
            self._on_end(how)


def described(code: int) -> str:
    """Return an exit code as people say it."""
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name if -code in {*signal.Signals} else -code}"


def await_keepers(owner: int, owner_started: float | None, patience_s: float) -> None:
    """Wait until every keeper of a process that is gone has ended its command."""
    import psutil

    def keeps_for_owner(process: psutil.Process) -> bool:
        with suppress(psutil.Error, ValueError):
            _, _, file, pid, started, *_ = process.cmdline()
            is_keeper = Path(file).name == Path(__file__).name and pid == str(owner)
            return is_keeper and (owner_started is None or abs(float(started) - owner_started) <= SAME_START_S)
        return False

    psutil.wait_procs(filter(keeps_for_owner, psutil.process_iter()), timeout=patience_s)


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes, or to groups by their negative ids; those that are gone are passed over."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


class Command:
    """The command's process, where there is one, and every process that it has left to the keeper."""

    def __init__(self, words: Sequence[str]) -> None:
        self.code: int | None = None
        self.pid: int | None = None
        # Readable when it has ended.
        self.handles: list[int] = []
        if words:
            process = subprocess.Popen(  # noqa: S603 - the owner's own command
                words, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True,
                preexec_fn=lambda: LIBRARY.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
            )  # fmt: skip
            self.pid = process.pid
            self.handles.append(os.pidfd_open(process.pid))
            process.returncode = 0  # its end is taken in here, among those of all others

    def reap(self, *_: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.pid:
                    self.code = os.waitstatus_to_exitcode(ended[1])

    def end(self, stop_s: float) -> bool:
        """End all, and return whether some had to be killed."""
        if self.code is None and self.pid is not None:
            send([-self.pid], signal.SIGTERM)
        told, killed, began = False, False, time.monotonic()
        while (left := self._left()) and (passed_s := time.monotonic() - began) < stop_s + KILL_S:
            if passed_s >= stop_s:
                killed = True
                send(left, signal.SIGKILL)
            elif self.code is not None and not told:  # what has left the group has not heard of it
                told = True
                send(left, signal.SIGTERM)
            time.sleep(LOOK_AGAIN_S)
        return killed

    def _left(self) -> list[int]:
        """Return the processes that descend from this one. Those that have ended count: none of them is taken in while one looks."""
        self.reap()
        parents: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                # The name, in parentheses, may hold anything.
                parents[int(folder.name)] = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        found, own = [], {os.getpid()}
        while own:
            own = {pid for pid, parent in parents.items() if parent in own}
            found += sorted(own)
        return found


def watch(descriptors: Iterable[int], lines: bytearray) -> None:
    """Sleep until a process ends, or the owner says so by closing the pipe; keep what it says."""
    waited = select.poll()
    for descriptor in (0, *descriptors):
        waited.register(descriptor, select.POLLIN)
    while [descriptor for descriptor, _ in waited.poll()] == [0] and (read := os.read(0, 65536)):
        lines += read


def tell(**said: Any) -> None:
    """Report to the owner, who may be gone."""
    with suppress(OSError):
        os.write(1, json.dumps(said).encode() + b"\n")


def main(owner: str, stop_s: str, cores: str, words: Sequence[str]) -> None:
    """Keep a command until it, its owner or the input ends, until there is nothing left of it."""
    # No child of its owner: Ray kills those of a timed process first, and nothing could end its server in its own way.
    if os.fork():
        os._exit(0)
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the program
        signal.signal(number, lambda number, frame: None)  # unlike what is ignored, that is not handed down
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    LIBRARY.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if cores:
        os.sched_setaffinity(0, map(int, cores.split(",")))
    handle = os.pidfd_open(int(owner))
    try:
        command = Command(words)
    except OSError as error:
        tell(refused=error.strerror or str(error))
        return
    tell(pid=command.pid, keeper=os.getpid())
    lines = bytearray()
    signal.signal(signal.SIGCHLD, command.reap)  # also of what it leaves behind while it runs
    watch([handle, *command.handles], lines)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command.reap()
    code = command.code
    if code is not None:
        tell(ended=code)
    killed = command.end(float(stop_s))
    if code is not None:  # files stay as long as the owner does
        watch([handle], lines)
    for line in lines.splitlines():
        with suppress(OSError, ValueError):
            path = Path(json.loads(line))
            if path.is_dir() and not path.is_symlink():  # a link leads nowhere
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    tell(killed=killed)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3], sys.argv[4], sys.argv[5:])
