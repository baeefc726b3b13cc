"""Files of a finished campaign are changed at random, taken away and exchanged: all of it is found and the file is named."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from effort import EFFORT

from orchestrator.analysis.python_interface import Results
from orchestrator.contracts import InputError
from orchestrator.storage.reader import open_campaign

MUTATIONS = 100


def flip(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def blank(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.randint(1, 64))
    content[start:end] = bytes(end - start)


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, cut, blank)


def complaint(directory: Path, path: Path) -> str | None:
    """What reading the part that a file belongs to says, or None where nothing is found."""
    try:
        read_part(directory, path)
    except InputError as error:
        return str(error)
    return None


def read_part(directory: Path, path: Path) -> None:
    """Read a table, or all of the trial that a file belongs to."""
    below = path.relative_to(directory).parts[1:]
    campaign = open_campaign(directory)
    if path.suffix == ".parquet" and not below:
        Results(directory).table(path.stem)
    for record in campaign.trials():
        if not below or below[0] == record.trial_id:
            campaign.matrix(record.trial_id)
            campaign.samples(record.trial_id)


def stored_files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.suffix in (".json", ".parquet"))


@pytest.mark.slow
def test_every_change_is_found_and_the_file_named(finished: Path) -> None:
    files = stored_files(finished)
    unnoticed = []
    for seed in range(MUTATIONS):
        chance = random.Random(seed)
        path = chance.choice(files)
        whole = path.read_bytes()
        content = bytearray(whole)
        chance.choice(CHANGES)(content, chance)
        if bytes(content) == whole:
            continue
        path.write_bytes(content)
        told = complaint(finished, path)
        path.write_bytes(whole)
        if told is None:
            unnoticed.append((seed, path.name))
        else:
            assert path.name in told, f"seed {seed}: {told} does not name {path}"
            assert len(told.splitlines()) == 1
    assert unnoticed == []
    read_part(finished, finished / "campaign.json")


@pytest.mark.slow
def test_every_file_that_was_taken_away_is_named(finished: Path, tmp_path: Path) -> None:
    for path in stored_files(finished):
        path.rename(tmp_path / "aside")
        told = complaint(finished, path)
        (tmp_path / "aside").rename(path)
        # No figure rests on the warm-up, and a trial may have none.
        assert (
            (told is None) if path.name == "warmup.parquet" else (told is not None and (path.name in told or path.parent.name in told))
        ), path
    read_part(finished, finished / "campaign.json")


@pytest.mark.slow
def test_every_file_of_another_trial_or_table_is_named(finished: Path) -> None:
    """In place of each file stand that of the same name of the other trial and one other at random, or all of them in a longer run."""
    files, chance = stored_files(finished), random.Random(0)
    for path in files:
        others = [other for other in files if path != other and path.suffix == other.suffix]
        others.sort(key=lambda other: (other.name != path.name, chance.random()))
        for other in others[: 2 * EFFORT]:
            whole = path.read_bytes()
            path.write_bytes(other.read_bytes())
            told = complaint(finished, path)
            path.write_bytes(whole)
            assert told is not None, f"{other} in place of {path}"
            assert path.name in told, f"{other} in place of {path}: {told}"
    read_part(finished, finished / "campaign.json")
