"""A small process that outlives a program and ends what that has started, however the program ends: a server, the embedded Ray, files.

It runs as a file of its own, ``python -ISP keeper.py OWNER STARTED``, with its owner's process id and when that began, by which it is found
again. Its first line of input is the order, the others are files and folders to delete at the end, all as JSON. The end of its input, or of
its owner, has the command ended: SIGTERM to its process group, and after ``stop_s`` SIGKILL to all that is left. It reports on its output,
one JSON object a line.

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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# Signals meant for the program, which the keeper ignores.
SENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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

    ``on_end`` is called in a thread when the command has ended of its own, with how.
    """

    def __init__(
        self,
        command: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        cores: Sequence[int] = (),
        log: Path | None = None,
        stop_s: float = 0.0,
        on_end: Callable[[str], None] = lambda how: None,
    ) -> None:
        import psutil

        # Whether some of its processes had to be killed, once it is ended.
        self.killed = False
        # Of the command.
        self.pid: int | None = None
        self.own_pid: int | None = None
        self._how: str | None = None
        self._whole = False
        self._stop_s, self._on_end = stop_s, on_end
        self._begun, self._over, self._gone = threading.Event(), threading.Event(), threading.Event()
        self._refused: str | None = "its keeper could not be started"
        self._process = subprocess.Popen(  # noqa: S603 - our own file in our own Python
            [sys.executable, "-ISP", __file__, str(os.getpid()), repr(psutil.Process().create_time())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
        )  # fmt: skip
        self._write({
            "command": list(command), "environment": dict(os.environ if environment is None else environment), "cores": list(cores),
            "log": os.devnull if log is None else str(log), "stop_s": stop_s, "folder": str(Path.cwd()),
        })  # fmt: skip
        self._process.wait()  # its first process; the second one, which is nobody's child, stays
        threading.Thread(target=self._listen, name="hears a keeper", daemon=True).start()
        self._begun.wait(KEEPER_S)
        if self._refused is not None:
            self.end()
            raise OSError(self._refused)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def remove_at_end(self, path: Path) -> None:
        self._write(str(path.absolute()))

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
        if not self._gone.wait(self._stop_s + KEEPER_S) and self.own_pid is not None:
            send([self.own_pid], signal.SIGKILL)
        if not self._whole and self.pid is not None:
            send([-self.pid], signal.SIGKILL)

    def _write(self, said: object) -> None:
        """One write each, so that no half of a line is ever read."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # the keeper has been ended: what is left goes at the next start
            self._process.stdin.write(json.dumps(said).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        """Take in what the keeper reports, up to its end."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                said = json.loads(line)
                if "keeper" in said:
                    self.pid, self.own_pid, self._refused = said["pid"], said["keeper"], None
                    self._begun.set()
                elif "refused" in said:
                    self._refused = said["refused"]
                elif "ended" in said:
                    self._tell(described(said["ended"]))
                else:
                    self.killed, self._whole = said["killed"], True
        if not self._whole and self.pid is not None:
            self._tell("its keeper was killed")
        for event in (self._gone, self._begun, self._over):
            event.set()

    def _tell(self, how: str) -> None:
        if self._how is None:
            self._how = how
            self._over.set()
            self._on_end(how)


def described(code: int) -> str:
    """Return an exit code as people say it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def await_keepers(owner: int, owner_started: float | None, patience_s: float) -> None:
    """Wait until every keeper of a process that is gone has ended its command; where one takes too long, kill both."""
    import psutil

    def keeps_for_owner(process: psutil.Process) -> bool:
        try:
            words = process.cmdline()
            if len(words) != 5 or Path(words[2]).name != Path(__file__).name or words[3] != str(owner):
                return False
            return owner_started is None or abs(float(words[4]) - owner_started) <= SAME_START_S
        except (psutil.Error, ValueError):
            return False

    _, left = psutil.wait_procs(filter(keeps_for_owner, psutil.process_iter()), timeout=patience_s)
    for keeper in left:
        with suppress(psutil.NoSuchProcess):
            for process in [*keeper.children(recursive=True), keeper]:
                with suppress(psutil.NoSuchProcess):  # the others stay to be killed
                    process.kill()


class Command:
    """The command's process, and every process that it has left to the keeper."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self.code: int | None = None
        self.pid: int | None = None
        if not order["command"]:
            return
        keeper = os.getpid()

        def prepare() -> None:
            control(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != keeper:
                os._exit(127)
            for number in SENT:
                signal.signal(number, signal.SIG_DFL)  # what is ignored here would stay so there
            signal.pthread_sigmask(signal.SIG_SETMASK, ())

        with Path(order["log"]).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the owner's own command
                order["command"], env=order["environment"], cwd=order["folder"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=prepare,
            )  # fmt: skip
        self.pid = process.pid
        process.returncode = 0  # its end is taken in here, among those of all others

    def reap(self) -> None:
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
        self.reap()
        return descendants()


def descendants() -> list[int]:
    """Return the living processes that descend from this one; none where the system does not list them as Linux does."""
    table: dict[int, tuple[int, bool]] = {}
    with suppress(FileNotFoundError):
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


def send(pids: Sequence[int], number: int) -> None:
    """Send a signal to processes, or to groups by their negative ids; those that are gone are passed over."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def control(option: int, value: int) -> None:
    """Call prctl, where there is one."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def watch(command: Command, owner: int, lines: bytearray) -> None:
    """Sleep until the command ends, or the owner does, or says so by closing the pipe; keep what it says."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    command.reap()
    waited = select.poll()
    for descriptor in (0, woken):
        waited.register(descriptor, select.POLLHUP | select.POLLIN)
    handle = None
    try:
        handle = os.pidfd_open(owner)  # it becomes readable when the owner ends
        waited.register(handle, select.POLLIN)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # a system without such handles: the pipe alone tells
        pass
    while command.code is None:
        ready = {descriptor for descriptor, _ in waited.poll()}
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                return
            lines += read
        if handle in ready:
            return
        command.reap()


def tell(**said: Any) -> None:
    """Report to the owner, who may be gone."""
    with suppress(OSError):
        os.write(1, json.dumps(said).encode() + b"\n")


def main(owner: int) -> None:
    """Do as the order says, until there is nothing left of it."""
    lines = bytearray()
    while b"\n" not in lines:
        read = os.read(0, 65536)
        if not read:
            return
        lines += read
    order = json.loads(lines[: lines.index(b"\n")])
    del lines[: lines.index(b"\n") + 1]
    # No child of its owner: Ray kills those of a timed process first, and nothing could end its server in its own way.
    if os.fork():
        os._exit(0)
    os.setsid()
    for number in SENT:
        signal.signal(number, signal.SIG_IGN)
    control(PR_SET_CHILD_SUBREAPER, 1)
    if order["cores"]:
        os.sched_setaffinity(0, order["cores"])
    try:
        command = Command(order)
    except OSError as error:
        tell(refused=error.strerror or str(error))
        return
    tell(pid=command.pid, keeper=os.getpid())
    watch(command, owner, lines)
    code = command.code
    if code is not None:
        tell(ended=code)
    killed = command.end(order["stop_s"])
    if code is not None:  # files stay as long as the owner does
        command.code = command.pid = None
        watch(command, owner, lines)
    for line in lines.splitlines():
        with suppress(OSError, ValueError):
            path = Path(json.loads(line))
            if path.is_dir() and not path.is_symlink():  # a link leads nowhere
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    tell(killed=killed)


if __name__ == "__main__":
    main(int(sys.argv[1]))
