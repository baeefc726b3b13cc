from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.contracts import InputError
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter, lock_campaign


def test_a_second_driver_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    lock = lock_campaign(tmp_path)
    told = rf"in use by process {os.getpid()} on {re.escape(socket.gethostname())}, started at 20\d\d-\d\d-\d\dT[0-9:]+\+00:00"
    with pytest.raises(InputError, match=told):
        lock_campaign(tmp_path)
    lock.close()
    lock_campaign(tmp_path).close()


def test_writer_holds_the_lock_until_it_is_closed(directory: Path, new_record: Callable[..., CampaignRecord]) -> None:
    with CampaignWriter.create(directory, new_record()), pytest.raises(InputError, match="in use by process"):
        CampaignWriter.reopen(directory)
    CampaignWriter.reopen(directory).close()


def test_a_refused_start_lets_go_of_the_lock(directory: Path, new_record: Callable[..., CampaignRecord]) -> None:
    CampaignWriter.create(directory, new_record()).close()
    (directory / "campaign.json").write_text("{")
    with pytest.raises(InputError, match="not what this program writes"):
        CampaignWriter.reopen(directory)
    lock_campaign(directory).close()


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from orchestrator.storage.writer import lock_campaign\n"
        "lock = lock_campaign(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"process {holder.pid} on "):
            lock_campaign(tmp_path)
        holder.kill()
        holder.wait()
        lock_campaign(tmp_path).close()
