"""Where everything lies within a campaign's directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contracts import InputError

CAMPAIGN = "campaign.json"
OVERRIDES = "overrides.yaml"
LOCK = ".lock"
TWINS = ("timings", "rounds")
"""Folders of parts: a round exists if and only if both hold it."""

PART = re.compile(r"part-(\d{5,9})\.parquet")
ANSWERS = re.compile(r"round-(\d{1,9})\.parquet")
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,239}")


def plain(name: str) -> str:
    """Return a name that is safe as one part of a path. Raises ValueError for any other, such as ``../x``."""
    if not PLAIN.fullmatch(name) or ".." in name:
        raise ValueError("must be 1 to 240 of the characters A-Z a-z 0-9 _ . + - and start with a letter or digit")
    return name


def part_name(number: int) -> str:
    """Return the file name of a part, counted from 0."""
    return f"part-{number:05d}.parquet"


def refuse_no_campaign(directory: Path) -> None:
    """Raise InputError for a path that is no campaign's directory."""
    if not (directory / CAMPAIGN).is_file():
        raise InputError(f"{directory} holds no {CAMPAIGN}: name the directory of a campaign, such as results/latest")


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial."""

    path: Path

    @property
    def record(self) -> Path:
        """Configuration, placement, state and reasons."""
        return self.path / "trial.json"

    @property
    def samples(self) -> Path:
        """One row per sample with its reference and first prediction."""
        return self.path / "predictions.parquet"

    @property
    def warmup(self) -> Path:
        """Timings of the warm-up rounds."""
        return self.path / "warmup.parquet"

    @property
    def answers(self) -> Path:
        """Folder of answers that differ from the first round's."""
        return self.path / "predictions"

    def answers_of(self, number: int) -> Path:
        """Answers of one round that differ from the first round's."""
        return self.answers / f"round-{number}.parquet"

    def twin(self, name: str) -> Path:
        """Folder of the parts of ``timings`` or ``rounds``."""
        return self.path / name

    def merged(self, name: str) -> Path:
        """Folder in which one part is made of many, before it takes the place of ``twin(name)``."""
        return self.path / f".{name}.new"

    def replaced(self, name: str) -> Path:
        """Folder of the many parts after one has taken their place, until it is removed."""
        return self.path / f".{name}.old"


def trial_folder(directory: Path, trial_id: str) -> TrialFolder:
    """Return the folder of a trial. Raises InputError for an id that would lead elsewhere."""
    try:
        return TrialFolder(directory / "trials" / plain(trial_id))
    except ValueError as error:
        raise InputError(f"trial id {trial_id!r}: {error}") from error


def parts(folder: Path) -> dict[int, Path]:
    """Return the parts in a folder by number, in order; none where there is no folder."""
    return _numbered(folder, PART)


def answers(folder: Path) -> dict[int, Path]:
    """Return the files of differing answers by round, in order; none where there is no folder."""
    return _numbered(folder, ANSWERS)


def _numbered(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    found = {int(match[1]): path for path in folder.iterdir() if (match := pattern.fullmatch(path.name))}
    return dict(sorted(found.items()))
