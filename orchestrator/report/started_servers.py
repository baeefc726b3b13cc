"""Servers that the campaign has started: where each ran, what it is, and how it was started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.report.table import Table
from orchestrator.storage.facts import SERVER_STARTED
from orchestrator.storage.records import TrialRecord

LONGEST = 300
NOTE = (
    "Each ran beside its client, on cores that the client had not, from before the model was loaded to after the last round; what it wrote "
    "is in server-N.log in the trial's folder, for process N."
)


def started_server_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield one table of all servers that were started; nothing without one."""
    records = [data.record for group in results.groups for data in group.trials]
    rows = [row for record in records if (row := _row(record)) is not None]
    if rows:
        columns = ["trial", "server", "cores", "processes", "ready after", "versions", "command"]
        yield Table(title="Servers started", columns=columns, rows=rows, note=NOTE, right=frozenset(["processes", "ready after"]))


def _row(record: TrialRecord) -> list[str] | None:
    found = record.facts.get(SERVER_STARTED)
    if not isinstance(found, Mapping):
        return None
    ready = found.get("ready_s")
    return [
        record.trial_id,
        str(found.get("name", "")),
        ",".join(map(str, _listed(found, "cores"))),
        str(found.get("processes", "")),
        f"{ready:.3g} s" if isinstance(ready, int | float) else "-",
        _versions(found),
        " ".join(map(str, _listed(found, "command")))[:LONGEST],
    ]


def _listed(found: Mapping[str, Any], name: str) -> list[Any]:
    value = found.get(name)
    return value if isinstance(value, list) else []


def _versions(found: Mapping[str, Any]) -> str:
    packages = found.get("packages")
    told = [f"{name} {version}" for name, version in packages.items()] if isinstance(packages, Mapping) else []
    return ", ".join([*([str(found["version"])] if found.get("version") else []), *told]) or "-"
