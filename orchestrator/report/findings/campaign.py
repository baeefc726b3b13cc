"""What must be known of all trials together, and what to run next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking, unsearched
from orchestrator.analysis.tables.comparison import EXACTLY
from orchestrator.report.findings import Finding
from orchestrator.report.pasted import ORCHESTRATOR, measured_again, plain_word
from orchestrator.storage.vocabulary import UNFINISHED

PLACE = 40
RESUME = f"{ORCHESTRATOR} resume DIR"
"""What goes on with an unfinished campaign, wherever it lies."""
REPEATED = "measurement.repeat=5"
PRIMARY = "analysis.primary="
DROPPED = {
    "unpinned": "cluster=inline",
    "machine shared with other trials": "system.exclusive=false",
}
"""Settings that cause flags: whoever measures again leaves them out."""


def of_campaign(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[Finding]:
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
    states = Counter(one.state for one in results.campaign.trials if one.state != "done")
    if states:
        yield Finding(
            "unfinished", "", {"trials": len(results.campaign.trials), "states": dict(states)}
        )
    paired = results.campaign.capacity is not None or results.campaign.pairing is not None
    if not paired and any(state in UNFINISHED for state in states):
        yield Finding("next_step", "", {"command": RESUME})
        return
    compared = [one for one in unsearched(ranked) if len(one.found) > 1]
    single = [one for one in compared if all(system.processes == 1 for system in one.found)]
    equal = all(
        round(one.scale.gained(one.ideal) - one.scale.gained(one.mean), EXACTLY) <= 0
        for of_task in single
        for one in of_task.found
    )
    all_imported = all(data.record.imported for one in single for data in one.group.trials)
    if not single or equal or all_imported or results.campaign.capacity is not None:
        return
    flags = {flag for one in single for system in one.found for flag in system.flags}
    dropped = {word for flag, word in DROPPED.items() if flag in flags}
    for command in dict.fromkeys(_repeated(words, results, dropped) for words in results.commands):
        yield Finding("next_step", "", {"command": command})


def _repeated(words: Sequence[str], results: CampaignAnalysis, dropped: set[str]) -> str:
    """Return the command that measures with repeats, at the deadline that is in use."""
    used = results.analysis.primary
    kept = [word for word in words if word not in dropped]
    if used is None or used == results.campaign.config.analysis.primary:
        return measured_again(kept, REPEATED)
    others = [word for word in kept if not word.startswith(PRIMARY)]
    return measured_again(others, REPEATED, plain_word(f'{PRIMARY}"{used}"', f"{PRIMARY}VALUE"))
