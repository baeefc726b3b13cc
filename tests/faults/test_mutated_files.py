"""Files of a finished campaign are changed at random: every change is found and the file is named."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.contracts import InputError
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.schema import RESULT_TABLES

PROGRAM = Path(__file__).with_name("fake_clock_campaign.py")
MUTATIONS = 200


def flip(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def leave_out(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    del content[start : start + chance.randint(1, 64)]


def blank(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.randint(1, 64))
    content[start:end] = bytes(end - start)


def repeat(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    content[start:start] = content[start : start + chance.randint(1, 64)]


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, flip, cut, leave_out, blank, repeat)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "results"
    subprocess.run([sys.executable, PROGRAM, folder], check=True)
    return folder


def complaint(directory: Path) -> str | None:
    """What reading everything says, or None where nothing is found."""
    try:
        read_everything(directory)
    except InputError as error:
        return str(error)
    return None


def read_everything(directory: Path) -> None:
    campaign: Campaign = open_campaign(directory)
    for record in campaign.trials():
        campaign.matrix(record.trial_id)
        campaign.samples(record.trial_id)
        campaign.warmup(record.trial_id)
    for name in RESULT_TABLES:
        campaign.table(name)


@pytest.mark.slow
def test_every_change_is_found_and_the_file_named(finished: Path) -> None:
    read_everything(finished)
    files = sorted(path for path in finished.rglob("*") if path.suffix in (".json", ".parquet"))
    assert {path.suffix for path in files} == {".json", ".parquet"}
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
        told = complaint(finished)
        path.write_bytes(whole)
        if told is None:
            unnoticed.append((seed, path.name))
        else:
            assert path.name in told, f"seed {seed}: {told} does not name {path}"
            assert len(told.splitlines()) == 1
    assert unnoticed == []
    read_everything(finished)
