"""Settings of every test: little memory of others, a folder of its own for what is stored, and a machine that seems steady."""

import gc
import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest
import shared_cores  # noqa: F401 - before numpy
from effort import EFFORT
from hypothesis import settings
from program import Call, orchestrator

from orchestrator.commands import reading
from orchestrator.distributed.cluster import prepare_environment
from orchestrator.machine.locks import own_folder_path
from orchestrator.measurement import worker
from orchestrator.running import inline
from orchestrator.subject.targets import code_of_its_own

# The workers of pytest-xdist are told the width of its terminal; the output of tests goes into a pipe. Readline, which pytest imports, sets
# the variable behind Python's back.
os.environ.pop("COLUMNS", None)
os.unsetenv("COLUMNS")

gc.disable()  # until all is collected: little of it is garbage

# A busy machine is slow now and then; a test that hangs is ended by pytest-timeout.
settings.register_profile("no deadline", deadline=None, max_examples=50 * EFFORT)
settings.load_profile("no deadline")

# Ray reads this once, when it is first imported, and adds folders of packages of its own to the path: neither may happen within a test,
# after which `own_code` takes them off again.
prepare_environment()
importlib.import_module("ray")

IN_MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30
"""Free space below which folders of tests lie on the disk."""
SUPPORT = Path(__file__).resolve().parent / "support"


def fits_in_memory() -> bool:
    """Return whether a file system in memory takes what tests write, programs included."""
    if not IN_MEMORY.is_dir() or not os.access(IN_MEMORY, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(IN_MEMORY)
    left = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available // 2)
    return left >= ROOM and not found.f_flag & os.ST_NOEXEC


# On a disk every file of a campaign waits until it would survive a power failure: a quarter of the processor time of tests that store
# campaigns, and half of the time that they take.
if "PYTEST_DEBUG_TEMPROOT" not in os.environ and fits_in_memory():
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(IN_MEMORY)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew")


def pytest_configure() -> None:
    """End on Ctrl-C even where a script has put the tests into the background: a shell lets such programs ignore it, and what they start ignores it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files without a slow test where those alone are asked for: each process of pytest-xdist would import them all."""
    return (
        config.option.markexpr == "slow" and collection_path.match("test_*.py") and "mark.slow" not in collection_path.read_text()
    ) or None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files that take long, marked ``first``, so that none is left over at the end for one process alone."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


def pytest_collection_finish() -> None:
    """Look for garbage seldom, and never among what was imported and collected: Python would walk through all of it again and again."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture
def null_targets() -> Iterator[Path]:
    """The folder with the null model and task, importable; and out of the way again afterwards."""
    folder = str(SUPPORT / "code")
    sys.path.append(folder)
    yield SUPPORT / "code"
    sys.path.remove(folder)
    sys.modules.pop("null_targets", None)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run one command line in this process, in an empty folder at first."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: orchestrator(*words, cwd=Path.cwd())


@pytest.fixture(scope="session")
def measured() -> dict[str, Path]:
    """Campaigns by what was asked for, as far as tests have asked: equal clocks give equal times, so that one is enough."""
    return {}


@pytest.fixture(autouse=True)
def own_code() -> Iterator[None]:
    """Forget the user's folders that a test has added, and what it imported from them: the next test has code of its own."""
    with code_of_its_own():
        yield


@pytest.fixture(scope="session", autouse=True)
def own_turns() -> Iterator[None]:
    """Let tests that run side by side measure side by side: none waits for the turn of another on the machine."""
    with tempfile.TemporaryDirectory() as folder:  # which hosts out of this machine see, as they see no folder in memory
        os.environ["ORCHESTRATOR_LOCK_DIR"] = folder
        yield
        status = Path(folder).stat()
    (own_folder_path() / f"turn-{status.st_dev}-{status.st_ino}").unlink(missing_ok=True)


@pytest.fixture(scope="session", autouse=True)
def steady_and_quick() -> Iterator[None]:
    """Spare trials of this process the flags of a busy machine, and reports another process that draws: its start outlasts most of them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (worker, inline):
            patch.setattr(module, "kernel_ns", lambda: 1_000_000)
        patch.setattr(reading, "drawing_meanwhile", nullcontext)
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep digests and exported graphs of tests out of the user's cache; all tests of a run share them, in whatever process they run."""
    folder = tmp_path_factory.getbasetemp()
    run = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    monkeypatch.setenv("XDG_CACHE_HOME", str(run / "cache"))
