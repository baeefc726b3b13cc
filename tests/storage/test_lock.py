import os
import socket
from collections.abc import Callable
from pathlib import Path

from refusals import refused

from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter, lock_campaign


def test_a_writer_holds_the_lock_until_it_is_closed_and_its_holder_is_named(
    directory: Path, new_record: Callable[..., CampaignRecord]
) -> None:
    with CampaignWriter.create(directory, new_record()), refused("in_use", value=directory) as caught:
        CampaignWriter.reopen(directory)
    assert f"process {os.getpid()} on {socket.gethostname()}" in str(caught.value)
    CampaignWriter.reopen(directory).close()


def test_a_refused_start_lets_go_of_the_lock(directory: Path, new_record: Callable[..., CampaignRecord]) -> None:
    CampaignWriter.create(directory, new_record()).close()
    (directory / "campaign.json").write_text("{")
    with refused("damaged", value=directory / "campaign.json"):
        CampaignWriter.reopen(directory)
    lock_campaign(directory).close()
