"""Write a campaign's directory. The holder of a ``CampaignWriter`` is its only driver."""

import fcntl
import json
import os
import shlex
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Self

import yaml

from orchestrator.contracts import InputError
from orchestrator.storage.files import (
    DRAFT,
    Held,
    json_text,
    make_folder,
    remove_drafts,
    sealed_json,
    write_json,
    write_link,
    write_text,
)
from orchestrator.storage.layout import CAMPAIGN, LOCK, OVERRIDES, TrialFolder, refuse_campaign_folder, trial_folder
from orchestrator.storage.load import read_campaign, read_json, read_trial
from orchestrator.storage.reader import refuse_no_campaign
from orchestrator.storage.records import STARTED, CampaignRecord, PlannedTrial, TrialRecord, utc_now
from orchestrator.storage.schema import State
from orchestrator.storage.trial_writer import TrialWriter

# How an empty list reads at this depth; no text within the document holds a line break.
NO_TRIALS = '\n "trials": []'


# ``campaign.json`` is written once in so many seconds at most.
WRITE_EVERY_S = 1.0

# Nor does writing it take more than this share of the time, however many trials it holds.
WRITING_SHARE = 0.05


def lock_campaign(directory: Path) -> BinaryIO:
    """Return an open file that holds the right to write into a campaign's directory until it is closed.

    The file stays: removing it could take the lock away from the next holder.

    Raises
    ------
    InputError
        naming host, process and start of the driver that holds it, or a file system that has no locks.
    """
    path, holder = directory / LOCK, "another process"
    try:  # never through a link, or into what else a stranger has put in its place: its content is overwritten
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.fdopen(os.open(path, flags, 0o666), "a+b")
    except OSError as error:
        raise InputError(
            f"{path} cannot be opened as the lock of a campaign ({error.strerror or error}): remove it", "unsafe", value=path
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        with file, suppress(ValueError, KeyError, TypeError):  # the holder may not have written its name yet
            about = json.loads(file.read())
            holder = f"process {about['pid']} on {about['host']}, started at {about['started_at']}"
        if isinstance(error, BlockingIOError):
            raise InputError(
                f"{directory} is in use by {holder}: wait until it ends or stop it first", "in_use", value=directory
            ) from error
        raise InputError(
            f"{directory} cannot be locked ({error.strerror}): choose a folder on another file system with results_dir=",
            "unsupported",
            value=directory,
        ) from error
    about = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": utc_now().isoformat(timespec="seconds")}
    file.truncate(0)
    file.write(json.dumps(about).encode())
    file.flush()
    return file


class CampaignWriter:
    """A campaign's directory, locked for writing. A context manager: leaving it flushes every trial and lets go of the lock.

    Threads may share it, each with trials of its own. ``campaign.json`` follows the states of trials with some delay, and is whole when the
    campaign is closed. Until then it says ``under_way``: what it does not hold yet stands in ``trial.json``.
    """

    def __init__(self, directory: Path, record: CampaignRecord, lock: BinaryIO, clock: Callable[[], float]) -> None:
        remove_drafts(directory)
        self.directory = directory
        self._record = record
        self._lock = lock
        self._folder_held = Held(directory)
        self._clock = clock
        self._planned = {planned.trial_id: planned for planned in record.trials}
        self._texts: dict[str, str] = {}
        self._under_way = record.under_way
        self._next_write_at = 0.0
        self._trials: dict[str, TrialWriter] = {}
        self._one_at_a_time = threading.Lock()

    @property
    def record(self) -> CampaignRecord:
        return self._record.model_copy(update={"trials": tuple(self._planned.values())})

    @classmethod
    def create(
        cls,
        directory: Path,
        record: CampaignRecord,
        latest: bool = False,
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[Path, bool], tuple[str, ...]] | None = None,
    ) -> Self:
        """Start a campaign: write ``overrides.yaml`` and ``campaign.json``, and on request point ``results/latest`` at it.

        The link lies two folders up, where ``results/<sweep>/<time>`` has ``results``. ``look`` says which other users could change the
        directory, given it and whether it was made just now; it raises InputError for one that is not to be used.

        Raises
        ------
        InputError
            for a directory that holds anything, lies within another campaign, cannot be written, or is another driver's.
        """
        refuse_campaign_folder(directory.absolute().parent, "the folder of results", [])
        made = _make_directory(directory)
        if look is not None:
            record = record.model_copy(update={"open_to": look(directory, made)})
        with ExitStack() as stack:
            lock = stack.enter_context(lock_campaign(directory))
            _refuse_used(directory)
            told = {"command": list(record.command), "sweep": record.sweep}
            write_text(directory / OVERRIDES, yaml.safe_dump(told, allow_unicode=True, sort_keys=False))
            writer = cls(directory, record, lock, clock)
            writer._write_record(under_way=False)
            if latest:
                write_link(directory.absolute().parent.parent / "latest", directory)
            stack.pop_all()  # the writer keeps the lock
        return writer

    @classmethod
    def reopen(
        cls,
        directory: Path,
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[Path, bool], tuple[str, ...]] | None = None,
    ) -> Self:
        """Go on with a campaign. Raises InputError for a directory that holds none, is damaged, or is another driver's.

        What ``look`` says is recorded beside what it has said before.
        """
        refuse_no_campaign(directory)
        with ExitStack() as stack:
            lock = stack.enter_context(lock_campaign(directory))
            record = read_campaign(directory)
            if look is not None:
                record = record.model_copy(update={"open_to": tuple(dict.fromkeys([*record.open_to, *look(directory, False)]))})
            writer = cls(directory, record, lock, clock)
            stack.pop_all()  # the writer keeps the lock
        return writer

    def trial(self, trial_id: str) -> TrialWriter:
        with self._one_at_a_time:
            if trial_id not in self._trials:
                known = self.read_trial(trial_id)
                self._trials[trial_id] = TrialWriter(self._of_plan(trial_id)[1], self._clock, known.rounds if known is not None else 0)
            return self._trials[trial_id]

    def read_trial(self, trial_id: str) -> TrialRecord | None:
        planned, folder = self._of_plan(trial_id)
        return read_trial(folder, planned)

    def add(self, trials: Sequence[PlannedTrial]) -> None:
        """Plan further trials, on disk at once. Raises ValidationError for an id that the campaign has already."""
        with self._one_at_a_time:
            self._folder_held.refuse_gone()
            known = tuple(self._planned.values())
            self._record = CampaignRecord.model_validate({**dict(self._record), "trials": (*known, *trials)})
            self._planned.update({planned.trial_id: planned for planned in trials})
            self._write_record(under_way=True)

    def note(self, trial_id: str, changes: Sequence[str] = (), extension: int | None = None) -> None:
        """Record in ``trial.json``, where there is one, what a user has accepted as changed and up to which round it is extended."""
        known = self.read_trial(trial_id)
        if known is not None:
            all_changes = tuple(dict.fromkeys([*known.changes, *changes]))
            noted = known.model_copy(update={"changes": all_changes, "extension": extension or known.extension})
            write_json(self._of_plan(trial_id)[1].record, noted.model_dump(mode="json"))

    def set_state(self, trial_id: str, state: State, reason: str | None = None) -> None:
        """Change a trial's state: in ``trial.json`` where there is one, and in ``campaign.json``, at once where nothing else holds it."""
        with self._one_at_a_time:
            self._folder_held.refuse_gone()
            before, folder = self._of_plan(trial_id)
            changed = before.with_state(state, reason)
            begun = folder.record.exists()
            if not begun and changed == before:
                return
            self._planned[trial_id] = changed
            self._texts.pop(trial_id, None)
            try:
                if begun or (state in STARTED and before.state not in STARTED):  # or it has ended before it could begin
                    known = read_json(folder.record, TrialRecord) if begun else TrialRecord.from_plan(before)
                    for place in (folder.path.parent, folder.path):
                        make_folder(place)
                    if not begun or (known.state, known.reason) != (state, reason):
                        write_json(folder.record, known.model_copy(update={"state": state, "reason": reason}).model_dump(mode="json"))
                    begun = True
            finally:  # even if one file cannot be written, the other says how the trial has ended
                if not (begun and self._under_way) or self._clock() >= self._next_write_at:
                    self._write_record(under_way=True)

    def look_after(self) -> None:
        """Bring ``campaign.json`` up to date. Raises OSError if the directory was removed, moved or replaced; `gone` says so in words."""
        with self._one_at_a_time:
            self._folder_held.refuse_gone()
            self._write_record(self._under_way)

    def gone(self) -> str | None:
        """Return in one line that the directory is not where it was, or None if it is."""
        if not self._folder_held.gone:
            return None
        return (
            f"{self.directory} was removed, moved or replaced while measuring: put it back and go on with resume, or measure the campaign "
            "again into a folder that others cannot write"
        )

    def close(self) -> None:
        """Flush every trial and let go of the lock."""
        with ExitStack() as stack:  # does all of it, even if a part fails
            stack.callback(self._folder_held.close)
            stack.callback(self._lock.close)
            if self._under_way:
                self._under_way = False  # tried once, also where it fails
                stack.callback(self._write_record, under_way=False)
            while self._trials:
                stack.callback(self._trials.popitem()[1].flush)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _of_plan(self, trial_id: str) -> tuple[PlannedTrial, TrialFolder]:
        planned = self._planned.get(trial_id) or self._record.planned(trial_id)
        return planned, trial_folder(self.directory, planned.trial_id)

    def _write_record(self, under_way: bool) -> None:
        started = self._clock()
        for trial_id, planned in self._planned.items():
            if trial_id not in self._texts:
                self._texts[trial_id] = "  " + json_text(planned.model_dump(mode="json")).replace("\n", "\n  ")
        text = json_text(self._record.model_copy(update={"under_way": under_way, "trials": ()}).model_dump(mode="json"))
        if trials := ",\n".join(map(self._texts.__getitem__, self._planned)):
            text = text.replace(NO_TRIALS, f'\n "trials": [\n{trials}\n ]', 1)
        write_text(self.directory / CAMPAIGN, sealed_json(text))
        ended = self._clock()
        self._under_way = under_way
        self._next_write_at = ended + max(WRITE_EVERY_S, (ended - started) / WRITING_SHARE)


def _make_directory(directory: Path) -> bool:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir()
    except OSError as error:
        if isinstance(error, FileExistsError) and directory.is_dir():
            _refuse_used(directory)
            return False
        raise InputError(
            f"results directory {directory} cannot be made ({error.strerror}): choose another with results_dir=",
            "unreadable",
            "results_dir",
            directory,
        ) from error
    return True


def _refuse_used(directory: Path) -> None:
    if (directory / CAMPAIGN).exists():
        raise InputError(
            f"{directory} holds a campaign already: go on with it with `python -m orchestrator resume {shlex.quote(str(directory))}`, or "
            "choose another directory with results_dir=",
            "exists",
            "results_dir",
            directory,
        )
    strange = [path.name for path in directory.iterdir() if path.name not in (LOCK, OVERRIDES) and not DRAFT.fullmatch(path.name)]
    if strange:
        raise InputError(
            f"{directory} is not empty (it holds {min(strange)}): choose a new directory with results_dir=, or empty this one",
            "exists",
            "results_dir",
            directory,
        )
