"""The verdict in words: which system keeps its quality at the tail, and by how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking, by_model, rankings
from orchestrator.analysis.tables.comparison import FRESH_PROCESSES
from orchestrator.report.capacity import capacity_sentences, unsearched
from orchestrator.report.pasted import ORCHESTRATOR, Command, measured_again, plain_word
from orchestrator.report.record_tables import server_notes
from orchestrator.report.text import trials_counted
from orchestrator.report.winners import winners
from orchestrator.storage.vocabulary import UNFINISHED

REPEATED = "measurement.repeat=5"


def verdict(results: CampaignAnalysis, ranked: Sequence[Ranking] | None = None) -> Iterator[str]:
    """Yield what the campaign answers at the primary threshold: the best model, and the best and the last system of each.

    ``ranked`` is what `rankings` returns, if that is known already.
    """
    ranked = rankings(results) if ranked is None else ranked
    if not ranked:
        yield "No trial has a stored round."
    yield from capacity_sentences(results)
    for one in unsearched(ranked):
        yield from winners(one)
        yield from server_notes(one.group)
    yield from what_next(results, unsearched(ranked))
    yield from cautions(results)


def cautions(results: CampaignAnalysis) -> Iterator[str]:
    """Yield what must be known of all trials together."""
    yield from _different_data(results)
    yield from _shared_machines(results)
    yield from _imported(results)


def _different_data(results: CampaignAnalysis) -> Iterator[str]:
    """Say why trials of one task stand in several tables."""
    tasks = Counter(task for task, _ in {group.trials[0].group[:2] for group in results.groups})
    for task, count in tasks.items():
        if count > 1:
            yield f"Trials of {task} measured {count} different sets of data (their digests differ), and each set has tables of its own."


def _shared_machines(results: CampaignAnalysis) -> Iterator[str]:
    """Say that hosts counted as machines of their own although they are one: their trials ran at once and slowed each other down."""
    hosts: dict[str, set[str]] = {}
    for record in results.records:
        if record.placement:
            hosts.setdefault(str(record.placement.get("boot_id")), set()).add(str(record.placement.get("host")))
    if results.campaign.config.cluster.machines == "node":
        for together in (sorted(names) for names in hosts.values() if len(names) > 1):
            yield (
                f"The hosts {', '.join(together)} are one physical machine (one boot id). With cluster.machines=node they counted as "
                "machines of their own: their trials ran at the same time and slowed each other down."
            )


def _imported(results: CampaignAnalysis) -> Iterator[str]:
    """Say once what holds for imported trials: which figures their files support, and why not the others."""
    told = [
        str(sentence) for record in results.records if record.imported for sentence in record.facts.get("imported", {}).get("notes", ())
    ]
    yield from dict.fromkeys(told)


RESUME = Command(f"{ORCHESTRATOR} resume DIR  # DIR: the folder of this report")
"""What goes on with an unfinished campaign, wherever it lies."""


@dataclass(frozen=True)
class Needed:
    """What to do next: ``told`` as a report says it, sentences and commands, and ``said`` in few words before the commands."""

    said: str = ""
    told: tuple[str, ...] = ()


def what_next(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[str]:
    """Yield what to do next: end what was begun, else the repeats that would show what is not shown yet."""
    yield from what_is_needed(results, ranked).told


def what_is_needed(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Needed:
    """Return what to do next, as `what_next` does."""
    trials = results.campaign.trials
    left = [planned.state for planned in trials if planned.state in UNFINISHED]
    if not left or results.campaign.capacity is not None or results.campaign.pairing is not None:
        return repeats_needed(results, ranked)
    states = ", ".join(f"{count} {state}" for state, count in Counter(left).items())
    said = f"This campaign is not finished: of {trials_counted(len(trials))}, {states}. First go on with it:"
    return Needed(said, (said, RESUME))


def repeats_needed(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Needed:
    """Say that fresh processes are not tested where each system ran as one, and the commands that would test them."""
    single = [one for one in ranked if len(one.found) > 1 and all(system.processes == 1 for system in one.found)]
    if not single or results.campaign.capacity is not None:  # rates of one search are no trials to repeat
        return Needed()
    tasks = ", ".join(dict.fromkeys(one.group.task for one in single))
    start = (
        f"{tasks}: {FRESH_PROCESSES} are not tested, since each trial is one process. {_not_by_repeats(single)}To test {FRESH_PROCESSES}"
    )
    imported = all(data.record.imported for one in single for data in one.group.trials)
    if imported or not results.commands:
        said = f"{start}, {'import repeats of the same names' if imported else f'measure again with {REPEATED}'}."
        return Needed(said, (said,))
    dropped = _dropped(results, single)
    without = f" (without {' and '.join(dropped)}, for which trials are flagged)" if dropped else ""
    commands = dict.fromkeys(_repeated(words, results, dropped) for words in results.commands)
    return Needed(f"To test {FRESH_PROCESSES}{without}, run:", (f"{start}{without}, run:", *commands))


def _not_by_repeats(single: Sequence[Ranking]) -> str:
    """Say what no number of repeats tells apart."""
    models = any(one.like_these is not None and len(list(by_model(one.found))) > 1 and not one.models_apart for one in single)
    left = ["models (that takes more samples)"] if models else []
    left += ["systems that keep all there is"] if any(one.nothing_shown and one.best_keep_all for one in single) else []
    return f"Repeats do not tell apart {' or '.join(left)}. " if left else ""


PRIMARY = "analysis.primary="


TO_DROP = {"unpinned": "cluster=inline", "machine shared": "system.exclusive=false"}
"""Settings that cause flags, by how these begin: whoever measures again leaves them out."""


def _dropped(results: CampaignAnalysis, single: Sequence[Ranking]) -> list[str]:
    """Return the settings that are to be left out for the flags that they have caused."""
    flags = {flag for one in single for system in one.found for flag in system.flags}
    given = {word for words in results.commands for word in words}
    return [word for start, word in TO_DROP.items() if word in given and any(flag.startswith(start) for flag in flags)]


def _repeated(words: Sequence[str], results: CampaignAnalysis, dropped: Sequence[str]) -> Command:
    """Return the command that measures with repeats, and at the deadline that is in use, if another was used when it was measured.

    It lacks the words that are ``dropped``.
    """
    used = results.analysis.primary
    words = [word for word in words if word not in dropped]
    if used is None or used == results.campaign.config.analysis.primary:
        return measured_again(words, REPEATED)
    others = [word for word in words if not word.startswith(PRIMARY)]
    return measured_again(others, REPEATED, plain_word(f'{PRIMARY}"{used}"', f"{PRIMARY}VALUE"))
