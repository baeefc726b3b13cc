from __future__ import annotations

import os
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

import pytest

from orchestrator.commands.progress import Progress
from orchestrator.report.readers import while_read
from orchestrator.report.terminal import Terminal


@pytest.fixture
def unread() -> Iterator[TextIOWrapper]:
    """A pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = TextIOWrapper(os.fdopen(writing, "wb", closefd=False), "utf-8")
    yield stream
    os.close(writing)


def test_a_reader_that_leaves_ends_nothing(unread: TextIOWrapper) -> None:
    stream = while_read(unread)
    for _ in range(3):
        print("x" * 100_000, file=stream, flush=True)
    Terminal(stream).line("the answer")
    with Progress(1, stream) as progress:
        progress.say("measured")
    stream.flush()


def test_an_output_without_room_ends_nothing() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        stream = while_read(full)
        print("x" * 100_000, file=stream, flush=True)
        Terminal(stream).line("the answer")
        stream.flush()


def test_one_who_stays_reads_everything(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        print("first", file=file)
        stream = while_read(file)
        print("é" * 10_000, file=stream, flush=True)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "first\n" + "é" * 10_000 + "\n"


def test_an_output_that_was_never_open_takes_everything() -> None:
    with while_read(None) as stream:
        print("x", file=stream, flush=True)
