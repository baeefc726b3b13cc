"""What a server wrote is kept without its token."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.configuration.server import ServerSettings
from orchestrator.machine.locks import open_own_folder
from orchestrator.running.server import log_path, take_server_log

SETTINGS = ServerSettings.model_validate(
    {"name": "tiny", "url": "http://127.0.0.1:0", "command": ["serve"], "token_env": "TINY_TOKEN"}
).model_dump(mode="json")
TOKEN = "squeamish-ossifrage"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log that holds the token, where that of a timed process would lie."""
    os.close(open_own_folder())
    path = log_path(tmp_path / "tail-quality-0-abc")
    path.write_text(f"started with key {TOKEN}\n")
    yield path
    path.unlink(missing_ok=True)


def test_the_token_is_left_out_and_a_log_whose_token_is_unknown_too(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = log.read_text()
    monkeypatch.setenv("TINY_TOKEN", TOKEN)
    assert take_server_log(SETTINGS, tmp_path / "tail-quality-0-abc") == "started with key ***\n"
    assert not log.exists()
    monkeypatch.delenv("TINY_TOKEN")
    log.write_text(written)
    assert TOKEN not in take_server_log(SETTINGS, tmp_path / "tail-quality-0-abc")
    assert not log.exists()
