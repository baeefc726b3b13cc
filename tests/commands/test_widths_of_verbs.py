"""Every verb at 60, 80 and 120 columns, with names of 60 characters: rows can be told apart, and no word is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from program import orchestrator
from rich.cells import cell_len

pytestmark = pytest.mark.slow

SUPPORT = Path(__file__).parents[1] / "support"
NAMES = [f"a_system_whose_name_is_as_long_as_names_may_sensibly_be_no_{number:02}" for number in (1, 2, 3)]
SHORT = {"model", "task", "system", "runtime", "load", "closed", "batch", "repeat", "id", "ends", "0", "1"}
"""Headings and numbers of trials whose id does not fit."""
Printed = Callable[..., str]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("widths")
    (folder / "conf" / "system").mkdir(parents=True)
    shipped = yaml.safe_load((Path(__file__).parents[2] / "conf" / "system" / "cpu_1core.yaml").read_text())
    for name in NAMES:
        (folder / "conf" / "system" / f"{name}.yaml").write_text(yaml.safe_dump({**shipped, "name": name}))
    words = [
        "--config-dir", "conf", "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "model=echo",
        f"system={','.join(NAMES)}", "cluster=inline", "-m", "model.sleep_ms=0", "measurement.rule=rounds", "measurement.min_rounds=3",
        "measurement.max_rounds=3", 'analysis.primary="1 ms"', "--quiet",
    ]  # fmt: skip
    (folder / "words").write_text("\n".join(words))
    for name in ("r", "s"):
        done = orchestrator(*words, f"results_dir={name}", "measurement.repeat=2", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


VERBS = {
    "report": ["report", "r"],
    "report --full": ["report", "r", "--full"],
    "status": ["status", "r"],
    "inspect": ["inspect", "r"],
    "explain": ["explain", "r"],
    "compare": ["compare", "r", "s"],
    "compare --full": ["compare", "r", "s", "--full", "--power"],
    "replay": ["replay", "r", "--rate", "20,50", "--deadline", "20 ms"],
    "history": ["history", ".", "--to", "h"],
    "plan": ["plan"],
    "plan --full": ["plan", "--full"],
}


@pytest.fixture(scope="module")
def wide_of(measured: Path) -> Callable[[str], str]:
    """Return what a verb prints where there is room for all of it."""

    @cache
    def printed_wide(verb: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            return printed(measured, verb, 2000, patch)

    return printed_wide


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("verb", VERBS)
def test_rows_are_told_apart_and_words_are_whole(
    measured: Path, wide_of: Callable[[str], str], verb: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, narrow = wide_of(verb), printed(measured, verb, width, monkeypatch)
    assert words_of(narrow) <= words_of(wide) | SHORT
    wider = [line for line in narrow.splitlines() if cell_len(line) > width and " " in line]
    assert [line for line in wider if not re.search(rf"/|python -m|{NAMES[0][:-2]}", line)] == []
    for name in NAMES:
        assert wide.count(name) > 0
        assert re.search(rf"\b{name}", narrow), name


def words_of(text: str) -> set[str]:
    """Return its words without frames, bars, and the sign that a heading or a part of a name has behind it; names by their parts."""
    return {word.strip(":,.") for word in re.findall(r"[^-\s│┃┏┓┡┩└┘┳╇┴━─·█▏▎▍▌▋▊▉#]+", text)}


def printed(folder: Path, verb: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    words = VERBS[verb]
    if words[0] == "plan":
        words = ["plan", *(word for word in (folder / "words").read_text().split("\n")), *words[1:]]
    done = orchestrator(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_reader_that_leaves_early_accuses_nobody(measured: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "orchestrator", "report", "r"]
        done = subprocess.run(command, cwd=measured, stdout=write, stderr=subprocess.PIPE, text=True, timeout=600, check=False)
    finally:
        os.close(write)
    assert done.stderr == ""
