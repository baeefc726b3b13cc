"""What must be known of all trials together: their data, their machines, and imports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking
from orchestrator.report.findings import Finding

PLACE = 35


def of_campaign(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[Finding]:
    """Yield what keeps trials from being compared, and what imported files say nothing of."""
    if not ranked:
        yield Finding("nothing_stored", "", {})
    tasks = Counter(task for task, _ in {group.trials[0].group[:2] for group in results.groups})
    for task, count in tasks.items():
        if count > 1:
            yield Finding("different_data", "", {"task": task, "count": count})
    hosts: dict[str, set[str]] = {}
    for record in results.records:
        if record.placement and results.campaign.config.cluster.machines == "node":
            machine = str(record.placement.get("boot_id"))
            hosts.setdefault(machine, set()).add(str(record.placement.get("host")))
    for names in hosts.values():
        if len(names) > 1:
            yield Finding("one_machine", "", {"hosts": sorted(names)})
    imported = [record.facts.get("imported", {}) for record in results.records if record.imported]
    notes = dict.fromkeys(str(note) for facts in imported for note in facts.get("notes", ()))
    if notes:
        yield Finding("imported", "", {"notes": list(notes)})
