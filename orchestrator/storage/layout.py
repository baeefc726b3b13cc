"""Where everything lies within a campaign's directory."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contracts import InputError

CAMPAIGN = "campaign.json"
OVERRIDES = "overrides.yaml"
REPORT = "report.md"
LOCK = ".lock"
# Folders of parts: a round exists if and only if both hold it.
TWINS = ("timings", "rounds")

SAMPLES = "predictions.parquet"
WARMUP = "warmup.parquet"
RAMP = "ramp.parquet"
OF_A_TRIAL = (SAMPLES, WARMUP, RAMP)

# Parts in order, by the number of the last flush that they hold.
Parts = dict[int, Path]
# What one flush has written, or all flushes from one number to another, merged.
PART = re.compile(r"part-(?:(\d{5,9})-)?(\d{5,9})\.parquet")
ANSWERS = re.compile(r"round-(\d{1,9})\.parquet")
SERVER_LOG = re.compile(r"server-(0|[1-9][0-9]{0,8})\.log")
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,239}")


def plain(name: str) -> str:
    """Return a name that is safe as one part of a path. Raises ValueError for any other, such as ``../x``."""
    if not PLAIN.fullmatch(name) or ".." in name:
        raise ValueError("must be 1 to 240 of the characters A-Z a-z 0-9 _ . + - and start with a letter or digit")
    return name


def part_name(number: int, first: int | None = None) -> str:
    """Return the file name of a part, counted from 0, or of one that holds all from ``first`` to this one."""
    return f"part-{number:05d}.parquet" if first is None else f"part-{first:05d}-{number:05d}.parquet"


def inside(directory: Path, path: Path) -> Path:
    """Return ``path``. Raises InputError if it is, or lies behind, a link that leads out of ``directory``.

    Results may come from a stranger: nothing in them may get a file elsewhere read or overwritten.
    """
    top, place = str(directory), str(path)  # as text: every file that is read asks for its folders
    while place and place not in (top, os.sep) and not os.path.islink(place):  # noqa: PTH114
        place = place.rpartition(os.sep)[0]
    if place in ("", top, os.sep):
        return path
    home = os.path.realpath(directory)
    if os.path.commonpath([home, os.path.realpath(path)]) != home:
        raise InputError(
            f"{path} is a link that leads out of {directory}: results lie in one directory; put the files themselves there",
            "unsafe",
            value=path,
        )
    return path


def file_identity(path: Path) -> str:
    """Return what a file is to its campaign: the trial and the table, not the part, since a merge makes one part of many."""
    if PART.fullmatch(path.name):
        return f"{path.parent.parent.name}/{path.parent.name}"
    if ANSWERS.fullmatch(path.name):
        return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
    return f"{path.parent.name}/{path.name}" if path.name in OF_A_TRIAL else path.name


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial. Asking for one that is a link out of the folder raises InputError.

    record
        configuration, placement, state and reasons.
    samples
        one row per sample with its reference and first prediction.
    warmup, ramp
        timings of the warm-up rounds, and of the arrivals that streams begin with, under load.
    traceback
        tracebacks of what code has raised, as text.
    answers
        folder of answers that differ from the first warm-up round's.
    """

    path: Path

    @property
    def record(self) -> Path:
        return self.within("trial.json")

    @property
    def samples(self) -> Path:
        return self.within(SAMPLES)

    @property
    def warmup(self) -> Path:
        return self.within(WARMUP)

    @property
    def ramp(self) -> Path:
        return self.within(RAMP)

    @property
    def traceback(self) -> Path:
        return self.within("traceback.txt")

    @property
    def answers(self) -> Path:
        return self.within("predictions")

    def server_logs(self) -> list[Path]:
        """Return the logs of servers that there are, by the number of their process; other files are none, whatever their names."""
        found = {int(match[1]): path for match, path in _named(self.path, SERVER_LOG) if path.is_file()}
        return [found[number] for number in sorted(found)]

    def answers_of(self, number: int) -> Path:
        """Answers of one round that differ from the first warm-up round's."""
        return inside(self.path, self.answers / f"round-{number}.parquet")

    @property
    def waiting(self) -> Path:
        return self.within(".waiting.arrow")

    def within(self, name: str) -> Path:
        """Return a file or folder of this name, such as that of the parts of ``timings`` or ``rounds``."""
        return inside(self.path, self.path / name)


def trial_folder(directory: Path, trial_id: str) -> TrialFolder:
    """Return the folder of a trial. Raises InputError for an id, or a link, that would lead elsewhere."""
    try:
        path = directory / "trials" / plain(trial_id)
    except ValueError as error:
        raise InputError(f"trial id {trial_id!r}: {error}") from error
    return TrialFolder(inside(directory, path))


def parts(folder: Path) -> Parts:
    """Return the parts in a folder; none where there is no folder. A merged part stands for those that it was made of."""
    found: Parts = {}
    first = math.inf
    for match, path in sorted(_named(folder, PART), key=lambda named: (-int(named[0][2]), int(named[0][1] or named[0][2]))):
        if int(match[2]) < first:
            found[int(match[2])] = path
            first = int(match[1] or match[2])
    return dict(reversed(found.items()))


def merged_away(folder: Path) -> set[Path]:
    """Return the parts in a folder that a merged one stands for."""
    return {path for _, path in _named(folder, PART)} - set(parts(folder).values())


def answers(folder: Path) -> dict[int, Path]:
    """Return the files of differing answers by round, in order; none where there is no folder."""
    return dict(sorted((int(match[1]), path) for match, path in _named(folder, ANSWERS)))


def _named(folder: Path, pattern: re.Pattern[str]) -> list[tuple[re.Match[str], Path]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [(match, entry) for entry in entries if (match := pattern.fullmatch(entry.name))]
    return [(match, inside(folder, folder / entry.name) if entry.is_symlink() else folder / entry.name) for match, entry in found]


def refuse_campaign_folder(path: Path, option: str, directories: Sequence[Path]) -> None:
    """Raise InputError for a file or folder to be written that is, or lies in, the directory of a campaign."""
    place = Path(os.path.realpath(path.expanduser()))
    inputs = {Path(os.path.realpath(directory)) for directory in directories}
    for parent in (place, *place.parents):
        if parent in inputs or (parent / CAMPAIGN).is_file():
            raise InputError(
                f"{option} {path} lies within the campaign {parent}, which stays as it was measured: name another place",
                "exists",
                option,
                path,
            )
