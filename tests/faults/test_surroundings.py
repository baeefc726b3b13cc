"""A machine that cannot give a campaign what it needs: one line with value, rule and remedy, before anything is measured."""

import contextlib
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from program import NULL
from stranger import elsewhere, needs_root

from orchestrator.__main__ import main
from orchestrator.measurement.scratch import Scratch

WORDS = [*NULL, "model=echo", "measurement.rule=rounds"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, so that only a long one below it is too long."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    (made / "small").mkdir()
    (made / ("x" * 80)).mkdir()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Import in this process what a plan needs, so that no copy of it has to."""
    before = [*sys.path]
    with contextlib.redirect_stdout(io.StringIO()):
        main(["plan", *WORDS, "cluster=inline"])
    sys.path[:] = before
    sys.modules.pop("null_targets", None)


def refused(folder: Path, cluster: str, before: Callable[[], object], *mounts: str) -> str:
    """Run a campaign in a process of its own after something was done to that; return the one line it says."""

    def run() -> str:
        before()
        with contextlib.redirect_stderr(io.StringIO()) as told, contextlib.redirect_stdout(told):
            code = main([*WORDS, f"cluster={cluster}", f"results_dir={folder / 'results'}"])
        return f"{code} {told.getvalue()}"

    told = elsewhere(run, *mounts)
    assert told.startswith("2 error: ")
    assert told.count("\n") == 1
    assert not (folder / "results").exists()
    return told.removeprefix("2 error: ").rstrip("\n")


def temporary(folder: Path) -> Callable[[], object]:
    """Name a folder for temporary files."""
    return lambda: os.environ.update(TMPDIR=str(folder))


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize(
    ("cluster", "size", "room"), [("local", "9M", "9.0 MiB are free, and temporary files need 32"), ("inline", "8k", "0")]
)
def test_a_temporary_folder_with_little_room(folder: Path, cluster: str, size: str, room: str) -> None:
    small = folder / "small"
    told = refused(folder, cluster, temporary(small), f"-t tmpfs -o size={size} none {small}")
    assert told.startswith(f"{small}: {room}")


@pytest.mark.slow
@pytest.mark.parametrize(("cluster", "needs"), [("local", "Ray needs 512"), ("inline", "the program needs 16")])
def test_files_that_may_not_be_long_enough(folder: Path, cluster: str, needs: str) -> None:
    told = refused(folder, cluster, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8 * 2**20, resource.RLIM_INFINITY)))
    assert needs in told


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "cluster"), [("-n 60", "local"), ("-v 2560000", "inline")])
def test_too_few_files_or_addresses(folder: Path, limit: str, cluster: str) -> None:
    """In a program of its own: a copy of this process may have more of them than the limit leaves."""
    words = [*WORDS, f"cluster={cluster}", f"results_dir={folder / 'results'}"]
    program = ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", sys.executable, "-m", "orchestrator", *words]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.startswith(f"error: ulimit {limit[:2]}: ")) == (2, True), ended.stderr
    assert not (folder / "results").exists()


@pytest.mark.slow
@needs_root
def test_stamps_that_find_no_room(folder: Path) -> None:
    """A file that is only made long would let the first stamp kill the process."""
    path = folder / "small" / "stamps"
    told = elsewhere(lambda: Scratch(path, batches=2_000), f"-t tmpfs -o size=16k none {folder / 'small'}")
    assert told.startswith(f"InputError: {path}: 64048 bytes ")
