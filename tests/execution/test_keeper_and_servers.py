"""What a program leaves when it is killed is ended and cleared away, and nothing else is touched.

A server or a neighbour that is started gets ready, is watched, and leaves nothing behind, whoever ends it.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from null_trials import OPTIONS, null_document, null_trial
from processes import ENDLESS_S, gone, wait_until
from refusals import refused

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.environment_values import Secret
from orchestrator.configuration.server import ServerSettings
from orchestrator.machine.cores import allowed_cores, check_server_threads
from orchestrator.machine.locks import open_own_folder, own_folder_path
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.scratch import stamps_path
from orchestrator.running.keeper import Keeper
from orchestrator.running.neighbour import WorkerWithNeighbour
from orchestrator.running.server import Server, order_of, read_log, with_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a server's keeper reads /proc: run it on Linux"),
]

PROGRAM = """
import os, signal, subprocess, sys
from pathlib import Path
from orchestrator.running.keeper import Keeper

signal.alarm(60)  # outlives by little a test that was killed
folder = Path(sys.argv[1])
asleep = "import sys, time; file = open(sys.argv[1]); time.sleep(600)"
child = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', *sys.argv[1:]], start_new_session=True).pid, flush=True)"
(folder / "log").touch()
beside = subprocess.Popen([sys.executable, "-c", asleep, folder / "log"], start_new_session=True)
# What the command starts goes to a session of its own, outlives it and writes over nothing that would tell whose it is.
pids = (folder / "pids").open("wb")
keeper = Keeper([sys.executable, "-c", child + "; import time; time.sleep(600)", asleep, str(folder / "log")], log=pids)
keeper.remove_at_end(folder)
while not (pids := (folder / "pids").read_text()).endswith("\\n"):
    pass
print(keeper.own_pid, keeper.pid, int(pids), beside.pid, flush=True)
if sys.argv[2] == "stopped and killed":  # as a neighbour between visits
    os.kill(keeper.pid, signal.SIGSTOP)
    os.kill(int(pids), signal.SIGSTOP)
if sys.argv[2] != "ended":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # a signal to the whole group is not for the keeper
    os.kill(os.getpid(), signal.SIGKILL)
keeper.end()
"""


@pytest.fixture(params=["killed", "stopped and killed", "ended"])
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, list[int]]]:
    """A program's folder and, in order, its keeper, what that keeps, a child of this, and a process that it does not keep."""
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, "-c", PROGRAM, folder, request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as program:
        found = [int(pid) for pid in program.stdout.readline().split()]
    yield folder, found
    psutil.Process(found[-1]).kill()


def test_what_is_kept_goes_and_all_else_stays(left: tuple[Path, list[int]]) -> None:
    folder, (*kept_ones, beside) = left
    assert len(kept_ones) == 3
    assert gone(kept_ones)
    assert not folder.exists()
    assert psutil.Process(beside).is_running()


@pytest.mark.parametrize("command", [(), ("true",)])  # files stay where their command has ended, up to the end of the owner
def test_a_file_goes_and_a_link_does_not_lead_elsewhere(tmp_path: Path, command: tuple[str, ...]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "stamps").touch()
    with Keeper(command) as keeper:
        keeper.how_it_ended(ENDLESS_S if command else 0)
        for name in ("link", "stamps", "missing"):
            keeper.remove_at_end(tmp_path / name)
    assert {path.name for path in tmp_path.rglob("*")} == {"elsewhere", "file"}


TINY = Path(__file__).parents[1] / "support" / "tiny_server.py"


Start = Callable[..., tuple[Server, ServerSettings]]


def settings_of(*words: str, **changes: object) -> ServerSettings:
    command = ["{python}", str(TINY), "--port", "{port}", *words]
    return with_port(
        ServerSettings.model_validate(
            {"name": "tiny", "url": "http://127.0.0.1:0", "command": command, "stop_s": 5, "ready_s": ENDLESS_S} | changes
        )
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[Server] = []

    def of(*words: str, ready: bool = True, **changes: object) -> tuple[Server, ServerSettings]:
        settings = settings_of(*words, **changes)
        server = Server(order_of(settings, allowed_cores()[:1], os.environ, Path()), Secret(""), tmp_path / "log", settings.stop_s)
        begun.append(server)
        if ready:
            assert 0 <= server.await_ready(settings) <= ENDLESS_S
        return server, settings

    yield of
    for server in begun:
        server.end()


def test_it_gets_ready_on_its_cores_and_ends_with_all_that_it_has_left(start: Start, tmp_path: Path) -> None:
    server, _ = start("--children", "2", "--says", "hello", stop_s=0.5)
    pids = server.processes()
    assert len(pids) == 3
    assert server.how_it_ended() is None
    check_server_threads(allowed_cores()[:1], pids)
    if len(allowed_cores()) > 1:
        with refused("unsupported", "server.cores"):
            check_server_threads(allowed_cores()[1:], pids)
    server.end()
    server.end()
    # Its children are deaf to SIGTERM and in sessions of their own: they had to be killed.
    assert server.keeper.killed
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert read_log(tmp_path / "log") == "hello\n"
    server, _ = start()
    assert server.keeper.pid not in {child.pid for child in psutil.Process().children(recursive=True)}, "the client inherits nothing of it"
    server.end()
    assert server.keeper.killed is False


@pytest.mark.parametrize(
    ("words", "fault", "said"),
    [
        (("--exits", "3", "--says", "no such model"), "server died", "no such model"),
        (("--never-ready",), "load failed", "server.ready_s=1.5"),
    ],
)
def test_one_that_does_not_get_ready_is_given_up(start: Start, words: tuple[str, ...], fault: str, said: str) -> None:
    server, settings = start(*words, ready=False, ready_s=ENDLESS_S if "--exits" in words else 1.5)
    with pytest.raises(TrialFailed, match=said) as caught:
        server.await_ready(settings)
    assert caught.value.fault == fault


def test_a_program_that_is_not_there_and_a_port_that_is_taken_are_refused(start: Start) -> None:
    with refused("not_installed", "server.command", "/no/such/program"):
        start(ready=False, command=["/no/such/program", "{port}"])
    _, settings = start()
    with refused("in_use", "server.url"):
        with_port(settings)


def test_without_its_keeper_it_dies_and_the_program_goes_on(start: Start, tmp_path: Path) -> None:
    server, _ = start("--children", "1")
    pids = server.processes()
    os.kill(server.keeper.own_pid, signal.SIGKILL)
    assert gone([server.keeper.pid])
    wait_until(server.how_it_ended)
    assert server.how_it_ended() == "its keeper was killed"
    server.keeper.remove_at_end(tmp_path / "any")
    server.end()
    assert gone([server.keeper.pid])
    for pid in pids[1:]:  # in a session of its own, it is out of reach of all but the keeper
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="a neighbour needs a core that its system has not: run it on two cores or more")
@pytest.mark.skipif(shutil.which("stress-ng") is None, reason="most neighbours are programs of stress-ng: apt install stress-ng")
@pytest.mark.parametrize("name", ["cpu", "memory", "cache", "io", "model"])
def test_a_neighbour_works_while_rounds_are_timed_and_its_death_is_a_fault(null_targets: Path, tmp_path: Path, name: str) -> None:
    (document,) = compose_trials(["model=efficientnet_lite0", "task=imagenet_samples", f"neighbour={name}"]).documents
    second = {block: null_document(model=OPTIONS)[block] for block in ("model", "task", "runtime")}
    trial = null_trial(model={"sleep_ms": 5}, system={"name": "one", "cores": 1}, neighbour=document["neighbour"] | {"second": second})
    os.close(open_own_folder())
    worker = WorkerWithNeighbour(trial, 0, stamps_path(tmp_path), tmp_path, pin=False)
    worker.prepare()
    pids = worker._neighbour.processes()
    for visit in range(2):
        wait_until(lambda: {psutil.Process(pid).status() for pid in pids} == {psutil.STATUS_STOPPED})
        assert worker.run_rounds(visit, 1, visit).rows.column("neighbour_cpu_ns").null_count == 0
    os.kill(pids[0], signal.SIGKILL)
    wait_until(worker._neighbour.how_it_ended)
    assert worker._neighbour.how_it_ended() == "signal SIGKILL"
    with pytest.raises(TrialFailed) as caught:
        worker.run_rounds(2, 1, 2)
    assert caught.value.fault == "neighbour died"
    worker.close()
    assert gone(pids)
    assert not list(own_folder_path().glob(f"*-{os.getpid()}-*neighbour*"))
