"""What else is not the same in two campaigns: what a change between them may be due to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError
from orchestrator.history.stored import Stored
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import TrialRecord

NOTHING = "nothing that was recorded"
LEFT_OUT = ("platform", "torch_git")
MACHINE = ("host", "processor", "logical_cores", "memory_bytes", "governor", "turbo")


class Surroundings:
    """What campaigns of a history were measured with; each is opened once, for many systems change where two of them meet."""

    def __init__(self) -> None:
        self._opened: dict[Path, Campaign] = {}

    def what_differs(self, before: Stored, after: Stored, match_key: str) -> str:
        """Return in words what differs between two campaigns for one system: code, machine and stack."""
        code = [f"code {before.head.code} -> {after.head.code}"] if before.head.code != after.head.code else []
        try:
            here, there = (self._record(stored.directory, match_key) for stored in (before, after))
        except InputError:
            return ", ".join(code) or NOTHING
        return ", ".join([*code, *_differences(here, there)]) or NOTHING

    def _record(self, directory: Path, match_key: str) -> TrialRecord:
        if directory not in self._opened:
            self._opened[directory] = open_campaign(directory)
        return _record(self._opened[directory], match_key)


def _record(campaign: Campaign, match_key: str) -> TrialRecord:
    trial_id = next((planned.trial_id for planned in campaign.record.trials if planned.match_key == match_key), None)
    if trial_id is None:
        raise InputError(f"{campaign.directory} has no trial {match_key}: choose another")
    return campaign.trial(trial_id)


def _differences(here: TrialRecord, there: TrialRecord) -> Iterator[str]:
    pairs: list[tuple[str, Any, Any]] = [(name, here.environment.get(name), there.environment.get(name)) for name in MACHINE]
    pairs.append(("boot", here.environment.get("boot_id"), there.environment.get("boot_id")))
    pairs += [(name, here.stack.get(name), there.stack.get(name)) for name in {**here.stack, **there.stack} if name not in LEFT_OUT]
    for name, mine, theirs in pairs:
        if mine != theirs:
            yield "restarted" if name == "boot" else f"{name} {mine} -> {theirs}"
