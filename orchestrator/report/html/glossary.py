"""The words of the page and what they mean: flags first, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from orchestrator.analysis.flags import UNSTEADY, flag_of

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


def _meaning(name: str) -> str:
    flag = flag_of(name)
    of_imported = f" Of imported trials: {flag.of_imported}." if flag.of_imported else ""
    helps = f" What helps: {flag.remedy}." if flag.remedy else ""
    return f"{flag.meaning[:1].upper()}{flag.meaning[1:]}.{helps}{of_imported}"


@cache
def words() -> tuple[Word, ...]:
    """Return the other words of the page."""
    return tuple(Word(anchor_of(term), term, meaning) for term, meaning in WORDS.items())


def anchor_of(term: str) -> str:
    """Return the name by which links find a word."""
    return "word-" + re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-")
