"""Attacks by a second user of the machine: none changes a number, none keeps a campaign waiting unnamed, each is told in one line."""

import fcntl
import io
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from program import NULL, orchestrator, rounds
from stranger import NOBODY, NOGROUP, as_stranger, needs_root, stranger

from orchestrator.contracts import InputError
from orchestrator.distributed.cluster import private_folder
from orchestrator.machine.locks import VARIABLE, own_folder_path
from orchestrator.machine.other_users import nobody, open_places
from orchestrator.machine.turn import Turn, check_turn, read_turn
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.scratch import Scratch, stamps_path, take_stamps
from orchestrator.running.keeper import Keeper
from orchestrator.storage.reader import open_campaign

pytestmark = [pytest.mark.slow, needs_root]

SLEEP_MS = 2
WORDS = [*NULL, "model=echo", f"model.sleep_ms={SLEEP_MS}", *rounds(3)]
VICTIM = 61_000 + os.getpid() % 1000
"""A user without root's rights, whom the stranger attacks."""


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can write into, as /tmp is."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def campaign(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Measures a campaign into ``tmp_path/results`` in this process; the exit code and what it said on stderr."""

    def run(*words: str) -> tuple[int, str]:
        done = orchestrator(*WORDS, "results_dir=results", *words, cwd=tmp_path)
        return done.returncode, done.stderr

    return run


def times_are_real(results: Path) -> bool:
    """Whether every inference took as long as its model sleeps."""
    tables = [pq.read_table(path) for path in results.glob("trials/*/timings")]
    return bool(tables) and all(min(table["inference_ns"].to_pylist()) >= SLEEP_MS * 1_000_000 for table in tables)


def test_stamps_can_be_neither_guessed_nor_touched(public: Path) -> None:
    path = stamps_path(public)
    assert len(path.name) > 32
    assert stamps_path(public) != path
    scratch = Scratch(path, batches=2)
    scratch.begin(1, 2, 3)
    attacks: list[Callable[[], object]] = [
        lambda: path.open("r+b"),
        lambda: path.open("rb"),
        path.unlink,
        lambda: path.rename(public / "mine"),
        lambda: (public / "mine").hardlink_to(path),
        lambda: os.truncate(path, 0),
    ]
    for attack in attacks:
        assert "Error" in as_stranger(attack)
    left = take_stamps(path)
    assert (left.round, left.monotonic_ns, left.wall_ns) == (1, 2, 3)


def make_file(path: Path) -> None:
    path.write_bytes(np.ones(4 + 4 * 2, dtype=np.int64).tobytes())


def make_link(path: Path) -> None:
    make_file(path.parent / "target")
    path.symlink_to(path.parent / "target")


@pytest.mark.parametrize("make", [make_file, make_link, os.mkfifo])
def test_what_a_stranger_made_is_neither_written_nor_read(public: Path, make: Callable[[Path], None]) -> None:
    path = public / "stamps"
    assert as_stranger(lambda: make(path)) == "done"
    with pytest.raises(TrialFailed):
        Scratch(path, batches=2)
    with pytest.raises(TrialFailed) as told:
        take_stamps(path)
    assert told.value.fault == "clock broken"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.chmod(0o666),
        lambda path: path.with_name("more").hardlink_to(path),
        lambda path: os.truncate(path, 80),
    ],
)
def test_stamps_that_others_could_have_written_are_not_used(public: Path, spoil: Callable[[Path], None]) -> None:
    scratch = Scratch(public / "stamps", batches=2)
    scratch.begin(1, 2, 3)
    spoil(scratch.path)
    with pytest.raises(TrialFailed):
        take_stamps(scratch.path)


@pytest.fixture
def victims_folder() -> Iterator[Path]:
    """The name that the victim's folder of locks will have."""
    path = own_folder_path().with_name(f"orchestrator-locks-{VICTIM}")
    yield path
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("make", [os.mkdir, make_file, os.mkfifo, lambda path: path.symlink_to("/")])
def test_a_victims_folder_that_a_stranger_made_first_is_one_line(
    victims_folder: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.delenv(VARIABLE)
    assert as_stranger(lambda: make(victims_folder)) == "done"
    told = as_stranger(check_turn, uid=VICTIM)
    assert told.startswith(f"InputError: {victims_folder} ")
    assert (f"({NOBODY})" in told) == (make is os.mkdir)
    assert "\n" not in told


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (lambda folder: folder.chmod(0o777), "unsafe"),
        (lambda folder: os.chown(folder, NOBODY, NOBODY), "unsafe"),
        (lambda folder: folder.parent.chmod(0o777), "unsafe"),
        (lambda folder: (folder.rmdir(), folder.symlink_to("/run")), "unreadable"),
        (lambda folder: (folder.rmdir(), os.mkfifo(folder)), "unreadable"),
    ],
)
def test_an_unsafe_common_folder_is_one_line_before_anything_is_measured(
    public: Path,
    monkeypatch: pytest.MonkeyPatch,
    campaign: Callable[..., tuple[int, str]],
    tmp_path: Path,
    spoil: Callable[[Path], None],
    refusal: str,
) -> None:
    folder = public / "locks"
    folder.mkdir(mode=0o1777)
    spoil(folder)
    monkeypatch.setenv(VARIABLE, str(folder))
    code, told = campaign()
    assert (code, told.count("\n"), told.endswith(f"[{refusal}]\n")) == (2, 1, True), told
    assert told.startswith(f"error: {VARIABLE}={folder}")
    assert not (tmp_path / "results").exists()


@pytest.fixture
def common(public: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the turns of all users, as an administrator makes it."""
    folder = public / "locks"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setenv(VARIABLE, str(folder))
    status = folder.stat()
    yield folder
    (own_folder_path() / f"turn-{status.st_dev}-{status.st_ino}").unlink(missing_ok=True)
    shutil.rmtree(own_folder_path().with_name(f"orchestrator-locks-{NOBODY}"), ignore_errors=True)


def test_nothing_in_a_common_folder_or_in_shared_memory_disturbs_a_campaign(
    common: Path, campaign: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    names = [common / "turn", common / "guard", Path(f"/dev/shm/tail-quality-{os.getpid()}-{secrets.token_hex(4)}")]

    def attack() -> None:
        os.mkfifo(names[0])
        make_link(names[1])
        make_file(names[2])
        fcntl.flock(os.open(common, os.O_RDONLY), fcntl.LOCK_EX)

    with stranger(attack) as other:
        assert other.told == "done"
        assert campaign()[0] == 0
    names[2].unlink()
    assert times_are_real(tmp_path / "results")
    (record,) = open_campaign(tmp_path / "results").trials()
    assert record.placement["turn"] == {"folder": str(common), "every_user": True}
    assert record.flags == ()


def test_a_campaign_waits_for_another_user_and_says_for_whom(
    common: Path, campaign: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    def take() -> None:
        assert Turn("theirs", "their campaign").take() is None

    with stranger(take) as other:
        assert other.told == "done"
        told = Turn("ours", "our campaign").take()
        assert told == f"somebody under the number of user nobody ({NOBODY}) (`fuser -v {common}`, as root, names the process)"
        assert read_turn().holder == told
        ended: list[tuple[int, str]] = []
        waiting = threading.Thread(target=lambda: ended.append(campaign()))
        waiting.start()
        while not (isinstance(sys.stderr, io.StringIO) and "waits: " in sys.stderr.getvalue()):  # what the campaign says so far
            time.sleep(0.01)
        assert not list((tmp_path / "results").glob("trials/*/warmup.parquet"))
    waiting.join()
    ((code, said),) = ended
    assert code == 0
    assert f"waits: {told} measures on that machine" in said
    assert times_are_real(tmp_path / "results")


def test_rays_folder_and_token_are_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with Keeper() as keeper:
        folder = private_folder()
        keeper.remove_at_end(folder.parent)
        (folder / "code.py").touch()
        victim = os.getpid()
        attacks: list[Callable[[], object]] = [
            lambda: list(folder.parent.iterdir()),
            lambda: (folder / "code.py").read_text(),
            lambda: (folder / "code.py").write_text("print('mine')"),
            lambda: folder.parent.rename(folder.parent.with_name("tq-mine")),
            lambda: Path(f"/proc/{victim}/environ").read_bytes(),
        ]
        for attack in attacks:
            assert "PermissionError" in as_stranger(attack)


def test_a_results_folder_that_others_may_write_gives_no_other_number(
    campaign: Callable[..., tuple[int, str]], public: Path, tmp_path: Path
) -> None:
    """Parts exchanged between two trials."""
    results = public / "results"
    assert campaign(f"results_dir={results}", "-m", "measurement.repeat=2")[0] == 0
    for path in (results, *results.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    first, second = sorted((results / "trials").iterdir())
    (one,), (other,) = ((trial / "timings").iterdir() for trial in (first, second))

    def exchange() -> None:
        one.rename(first / "kept")
        other.rename(one)
        (first / "kept").rename(other)

    assert as_stranger(exchange) == "done"
    with pytest.raises(InputError, match=r"part-\S+\.parquet is not whole|is .*another|not what was written"):
        open_campaign(results).matrix(first.name)
    assert as_stranger(exchange) == "done"
    open_campaign(results).matrix(first.name)


def test_who_could_change_a_results_folder(public: Path) -> None:
    """What leads to it is told; refused is only a folder or link that is somebody else's before anything is measured into it."""
    above = public / "above"
    mine, theirs, link = above / "mine", above / "theirs", public / "link"
    for folder in (above, mine, theirs):
        folder.mkdir(0o755)
    link.symlink_to(mine)
    above.chmod(0o777)
    for path in (above, mine):
        os.chown(path, VICTIM, NOGROUP)
    os.chown(theirs, 1234, NOGROUP)
    os.lchown(link, 1234, NOGROUP)

    def told(folder: Path, made: bool = False, uid: int = VICTIM) -> list[tuple[str, bool]]:
        text = as_stranger(lambda: json.dumps(open_places(folder, made)), uid=uid)
        return [(one, refused) for one, refused in json.loads(text)]

    shared = (f"{above} can be written by every user", False)
    assert told(mine) == [shared]
    assert told(theirs) == [(f"{theirs} belongs to user 1234, another user", True), shared]
    assert told(link) == [(f"{link} belongs to user 1234, another user", True), shared]
    assert open_places(theirs, made=False) == [(f"{theirs} belongs to user 1234, another user", False), shared], "root works for others"
    os.chown(theirs, nobody(), NOGROUP)
    assert [refused for _, refused in told(theirs)] == [False, False], "whose it is cannot be known"
    mine.chmod(0o777)
    assert told(mine)[0] == (f"{mine} can be written by every user", True)
    assert told(mine, made=True)[0] == (f"{mine} can be written by every user", False), "by its own umask"
    mine.chmod(0o775)
    assert told(mine)[0] == (f"{mine} can be written by the group {NOGROUP}", False)
    above.chmod(0o1777)
    mine.chmod(0o755)
    assert told(mine) == []


def test_stamps_that_cannot_be_trusted_end_the_trial_by_name(campaign: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """A process ends in a fault, and its stamps belong to somebody else by then: no second attempt hides what they would have told."""
    code, _ = campaign("model.target=null_targets:GivesAwayModel")
    assert code == 1
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / "results").glob("trials/*/trial.json"))
    assert record["state"] == "failed"
    assert [fault["name"] for fault in record["faults"]] == ["too many errors", "clock broken"]
    assert f"belongs to user nobody ({NOBODY})" in record["reason"]
