"""The words of the page and what they mean: flags first, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from orchestrator.report.standings import UNSTEADY
from orchestrator.report.table import REMEDIES, REMEDIES_OF_IMPORTED

FLAGS = {
    "running": "The trial was not done when this page was written; its figures are of the rounds so far.",
    "failed": "The trial ended with an error; its figures are of the rounds before it. See the problems below.",
    "interrupted": "The trial was stopped before its rule ended it; `resume` goes on with it.",
    "not certified": "Too few independent inferences lie beyond the percentile, or nothing bounds it from above; it may change much.",
    "in-sample": "The threshold was chosen from the same rounds that are judged by it.",
    "one stretch": "Fewer than 12 visits lie apart: the interval is of this period, and nothing tells of later rounds.",
    "few units": "Fewer than 20 visits or streams: slow spells that were not met leave nothing to see.",
    "imported": "Another program measured it; only its file was read here.",
    "no quality": "The file holds no scores: what is shown is the share of answers in time, right or wrong.",
    "rounds by time": "Requests were cut into rounds of equal size in order of time, since the file holds no rounds.",
    "one round": "All requests count as one round, so that nothing is known of how rounds differ.",
    "unpinned": "The threads of the trial were not held to the cores of its system.",
    "machine shared": "Other trials ran on the machine at the same time, which may have slowed this one.",
    "other users": "Campaigns of other users of the machine could not be held off while this one was measured.",
    "answers beyond tolerance": "The runtime's answers differ from those of eager PyTorch by more than was allowed.",
    "no answer is right": "Nothing was right even without a threshold: task and model hardly fit each other.",
    "boxes fit": "Boxes are right and their categories are not: look at the numbers of the classes.",
    "a later process answers": "A fresh process of the same trial gave other answers.",
    "torn pair": "The two sides of a pair were not measured next to each other.",
    "schedule not kept": "Samples were started late although nothing was due, or not at the schedule's rate: waits are partly our own.",
    "overloaded": "The backlog grows through the streams: samples arrive faster than this system answers. A finding, not a fault.",
    "few samples": "The group of a slice is small: its figure is of these samples alone.",
    "few streams": "The rounds of a stream share a queue, and there are fewer than 12 streams: intervals may be too narrow.",
    "incomplete": "Some rounds ended before all samples were measured; what is missing counts as late.",
}
"""What flags mean, by how they begin."""
UNCERTIFIED = "deadline not certified"
"""What the page itself finds doubtful."""
WORDS = {
    "trial": "One model on one system with one runtime, measured over many rounds in a process of its own.",
    "round": "One pass over every sample of the task.",
    "deadline, threshold": "The time an answer may take. A later one counts as failed.",
    "tail quality": "Quality of a round when late answers count as failed; of a trial the mean over its rounds.",
    "ideal quality": "Quality without a deadline: what a system of no delay would keep.",
    "95 % interval": "Where the mean of rounds to come lies, as far as the measured ones tell.",
    UNSTEADY: "The 95 % interval is wider than a tenth of ideal quality: rounds differ much. Its strip under Stability shows which, the "
    "slow rounds beside it what moved with them; more rounds make the interval narrower.",
    UNCERTIFIED: "The deadline is as observed in this session. Its table says why, and how many more rounds would help.",
    "worst round": "The round that kept least.",
    "certified deadline": "With the campaign's confidence enough rounds to come keep the promised quality within it.",
    "observed deadline": "What was seen in this session; no promise for another one.",
    "response": "Under load the clock that counts first: from a sample's scheduled arrival to its answer, waiting included.",
    "total, inference": "The two clocks: from the sample's bytes to the answer as plain values, and the model call alone.",
    "first_token, per_token": "Of streamed answers: from the arrival (in a closed loop, the start) to the first token; between two.",
    "fresh processes": "The same trial started anew (repeats). Processes differ by more than the rounds of one show, so that one process "
    "of each system tests nothing of others.",
    "samples like these": "Other samples of the same kind. Of two models, drawing the samples anew tests it; of systems of one model "
    "nothing does.",
    "shown, not shown, not tested": "The data tell two systems apart; they were asked and do not, which rules no difference out; nothing "
    "was measured or computed that could tell.",
    "with reserve": "A flag touches what is compared; the brackets name it in short.",
    "percentile": "p99 is the time that 99 % of inferences keep to.",
    "rJSD": "A distance between densities of times; small where more rounds no longer change them. It says nothing of the tail.",
    "flip": "Two trials change places in the ranking between two deadlines.",
}


@dataclass(frozen=True)
class Word:
    """An entry of the glossary, with the name by which links find it."""

    anchor: str
    term: str
    meaning: str


def flag_words(flags: Iterable[str]) -> dict[str, Word]:
    """Return the entry of every flag, by flag."""
    return {flag: Word(f"flag-{number}", flag, _meaning(flag)) for number, flag in enumerate(sorted(set(flags)))}


def _meaning(flag: str) -> str:
    known = [meaning for begins, meaning in FLAGS.items() if flag.startswith(begins)]
    told = (
        known[0]
        if known
        else "A note of the measurement on these figures; docs/results.md and docs/statistics.md tell where it comes from."
    )
    of_imported = f" Of imported trials: {REMEDIES_OF_IMPORTED[flag]}." if flag in REMEDIES_OF_IMPORTED else ""
    return f"{told} What it does to a figure, and what helps: {REMEDIES[flag]}.{of_imported}" if flag in REMEDIES else told


@cache
def words() -> tuple[Word, ...]:
    """Return the other words of the page."""
    return tuple(Word(anchor_of(term), term, meaning) for term, meaning in WORDS.items())


def anchor_of(term: str) -> str:
    """Return the name by which links find a word."""
    return "word-" + re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-")
