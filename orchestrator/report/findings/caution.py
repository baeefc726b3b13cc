"""What is doubtful: flags, how many processes there are, and what the rounds are too few for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.flags import UNSTEADY, flag_of, missing, remedies
from orchestrator.analysis.ranking import Ranking, unsearched
from orchestrator.analysis.trial_data import TrialData
from orchestrator.report.findings import Finding
from orchestrator.report.what_it_takes import too_short_for

PLACE = 30
WORD = re.compile(r"`[^`]+`")


def of_campaign(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[Finding]:
    whose: dict[str, list[TrialData]] = {}
    for one in unsearched(ranked):
        unsteady = {trial for of in one.found if UNSTEADY in of.marks for trial in of.trials}
        for data in one.group.trials:
            wide = [UNSTEADY] if data.trial_id in unsteady else []
            for name in dict.fromkeys(
                flag_of(flag).name for flag in [*one.group.flags[data.trial_id], *wide]
            ):
                whose.setdefault(name, []).append(data)
    told = [{"name": name, "count": len(of), "hint": hint(name, of)} for name, of in whose.items()]
    compared = [one for one in unsearched(ranked) if len(one.found) > 1]
    single = any(all(of.processes == 1 for of in one.found) for one in compared)
    trials = [data for one in unsearched(ranked) for data in one.group.trials]
    if told or single:
        values = {
            "trials": len(trials),
            "flags": told,
            "single": single,
            "imported": any(data.record.imported for data in trials),
        }
        yield Finding("caution", "", values, tuple(whose))
    short = too_short_for(trials)
    if short is not None:
        yield Finding("too_short", "", short)


def hint(name: str, whose: Sequence[TrialData]) -> str:
    """Return the settings or the command that help against a flag of these trials, in backticks."""
    trials = [data.record.trial for data in whose]
    clause = next(
        iter(remedies(flag_of(name), trials, all(data.record.imported for data in whose))), ""
    )
    return " ".join(missing(clause, trials) or WORD.findall(clause)) or clause
