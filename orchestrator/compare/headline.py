"""What a comparison comes to, in one line and in sentences, and the commands that would give a verdict where there is none."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from orchestrator.compare.campaigns import ALARM, PASSED, SEVERITY, UNDECIDED, Comparison
from orchestrator.compare.differences import LOAD_DIFFERS, LOADS, differences
from orchestrator.compare.rows import BLIND, FINISH, MISSING, NO_VERDICT, percent, say
from orchestrator.compare.sides import going_on
from orchestrator.report.pasted import ORCHESTRATOR, choosing, pair_again, plain_word, words_again
from orchestrator.stats.constants import FEWEST_REPEATS
from orchestrator.storage.reader import open_campaign

UNKNOWN = "noise floor unknown"
# Pairs that are asked for where fewer were too blind.
MORE_PAIRS = 10
# How the words begin of what no command measures again: rates of a search, and what another program has measured, which has none.
NOT_MEASURED_AGAIN = (("capacity",), ("import",), ())
# Keys that no trial's id holds, and that tell sides apart.
OF_NO_ID = {"code", "server.url", "system.python"}
# Macros of the template that say what was compared, each empty where it does not hold.
SENTENCES = ("sides", "counted", "only_after", "in_pairs", "load_differs", "apart")
RESULTS = {PASSED: "pass", ALARM: "fail", UNDECIDED: "no verdict"}


class Headline(NamedTuple):
    """The first line of a page and on a terminal.

    result
        what the gate says, or would say (`RESULTS`); without a gate there is none where nothing could be compared.
    sentence
        the same in words.
    commands
        each of which would give a verdict, where one is lacking.
    """

    result: str
    sentence: str
    commands: tuple[str, ...] = ()


def headline(comparison: Comparison, places: tuple[Path, Path] = (Path("A"), Path("B")), allow_no_verdict: bool = False) -> Headline:
    """Return what a comparison comes to. ``places`` are baseline and candidate, as the command line named them."""
    kinds = outcomes(comparison)
    nothing = comparison.min_effect is None and [*kinds] == [MISSING]
    result = RESULTS[UNDECIDED if nothing else comparison.exit_code(allow_no_verdict)]
    verdict = say(
        "verdict",
        result=result,
        nothing=nothing,
        kinds=kinds,
        undecided=kinds.get(NO_VERDICT, 0),
        reasons=_reasons(comparison),
        fewest=FEWEST_REPEATS,
        effect=percent(comparison.min_effect or 0),
    )
    parts = [verdict, other_settings(comparison), say("one_campaign", comparison=comparison)]
    return Headline(result, " ".join(filter(None, parts)), tuple(commands(comparison, places, result == "no verdict")))


def outcomes(comparison: Comparison) -> Mapping[str, int]:
    """Count the trials by outcome, the worst first; of several thresholds the worst one counts."""
    worst = {row.match_key: row.kind for row in reversed(comparison.rows)}
    counts = Counter(worst.values())
    return {kind: counts[kind] for kind in SEVERITY if counts[kind]}


def _reasons(comparison: Comparison) -> list[str]:
    """Return why trials have no verdict, each reason once."""
    return list(dict.fromkeys(row.outcome.partition(": ")[2] for row in comparison.rows if row.kind == NO_VERDICT))


def sentences(comparison: Comparison) -> Iterator[str]:
    """Yield what was compared, what came out, and what else differed."""
    loaded = {row.match_key for row in comparison.rows if LOAD_DIFFERS in row.flags}
    what = dict.fromkeys(change.name for change in comparison.changes if change.name in LOADS)
    facts = {"comparison": comparison, "kinds": outcomes(comparison), "loaded": loaded, "what": what, "fewest": FEWEST_REPEATS}
    yield from filter(None, (say(sentence, facts=facts) for sentence in SENTENCES))


def other_settings(comparison: Comparison) -> str:
    """Say in how many trials of the baseline which settings differ from those of the candidate's nearest, and how many have none."""
    keys = {row.match_key for row in comparison.rows}
    told = {row.match_key: tuple(differences(row.trial, row.nearest.trial)) for row in comparison.rows if row.nearest is not None}
    alone = {row.match_key for row in comparison.rows if row.kind == MISSING and row.nearest is None and FINISH not in row.why}
    return say("other_settings", kinds=Counter(told.values()).most_common(), count=len(keys), alone=len(alone))


def commands(comparison: Comparison, places: tuple[Path, Path], undecided: bool) -> Iterator[str]:
    """Yield commands that would give a verdict, by what is missing; ``undecided`` is whether the gate has none, or would have none."""
    if comparison.commands[1][:1] in NOT_MEASURED_AGAIN:
        return
    before, after = (plain_word(str(place), name) for place, name in zip(places, "AB", strict=True))
    if any(FINISH in row.why for row in comparison.rows):
        yield f"{going_on(open_campaign(places[1]))}  # finish the candidate, then compare again"
    sides, reasons = _sides(comparison), _reasons(comparison)
    run = f"{ORCHESTRATOR} compare --run {sides or f'A B {words_again([*choosing(comparison.commands[1])])}'}"
    if sides and (undecided or any(row.nearest for row in comparison.rows)) and BLIND not in reasons:
        yield f"{run} --gate  # what differs, in pairs"
    elif undecided and (comparison.apart or UNKNOWN in reasons):
        yield f"{run} --gate  # in pairs; A and B: folders of code, or overrides"
    if undecided and BLIND in reasons:
        yield f"{ORCHESTRATOR} compare {before} {after} --gate analysis.primary=p50  # a threshold at which quality feels speed"
        yield f"{run} --pairs {MORE_PAIRS} --gate  # more repeats, in pairs"


def _sides(comparison: Comparison) -> str | None:
    """Return what follows ``--run``: the words of either side, and those of both.

    None where words do not tell the sides apart or could be read otherwise, and where samples or numbers of trials differ.
    """
    mine, theirs = (set(choosing(command)) for command in comparison.commands)
    keys = {word.lstrip("+~").partition("=")[0] for word in mine ^ theirs}
    tells = comparison.differing or any(row.nearest for row in comparison.rows) or keys & OF_NO_ID
    samples = any(key.startswith("task") and key != "task.preload" for key in keys)
    if not tells or samples or comparison.trials != len({row.match_key for row in comparison.rows}):
        return None
    return pair_again(*comparison.commands)
