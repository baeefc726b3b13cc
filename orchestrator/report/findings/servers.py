"""Which servers answered, and what of a time is the client's own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking
from orchestrator.report.findings import Finding
from orchestrator.report.record_tables import client_part

PLACE = 28


def of_task(results: CampaignAnalysis, one: Ranking) -> Iterator[Finding]:
    asked = [data.record for data in one.group.trials if data.record.trial.server.is_asked]
    asked.sort(key=lambda record: record.trial.server.name)
    for name, records in groupby(asked, key=lambda record: record.trial.server.name):
        of_server = list(records)
        alone, at_once = (
            [part for record in of_server if (part := client_part(record, "total", many))]
            for many in (False, True)
        )
        yield Finding(
            "servers",
            one.group.task,
            {
                "server": name,
                "alone": [max(ns) for ns in zip(*alone, strict=True)],
                "at_once": [max(ns) for ns in zip(*at_once, strict=True)],
            },
        )
