"""The five short answers: which wins, by how much, is it shown, is the deadline kept, what is doubtful."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.configuration.analysis import DeadlineConfig
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.answer_parts import Case, Doubt, FiveAnswers, Piece
from orchestrator.report.five_answers import five_answers
from orchestrator.report.standings import Less, Ranking, Standing


def group(samples: int = 20, limit: int | None = None) -> Any:
    trial = SimpleNamespace(task=SimpleNamespace(limit=limit))
    return SimpleNamespace(trials=[SimpleNamespace(metric="top1", references=[""] * samples, record=SimpleNamespace(trial=trial))])


def standing(system: str, mean: float, kept_ms: float, model: str = "m", processes: int = 1) -> Standing:
    names = {"model": model, "system": system, "runtime": "r", "batch": "1", "settings": ""}
    low, high = mean - 0.01, min(mean + 0.01, 0.9)
    return Standing(names, (f"{model} {system}",), mean, low, high, low, 0.9, PLAIN, processes, (), deadlines=(math.inf, kept_ms * 1e6))


def against(best: Standing, other: Standing, low: float, high: float, apart: bool, test: str = "") -> Standing:
    """The other with its stored difference from the best."""
    return replace(other, tested={best.trials[0]: apart}, less={best.trials[0]: Less(low, high, test)})


def case(*found: Standing, like_these: frozenset[str] | None = frozenset(), limit: int | None = None, **more: Any) -> Case:
    best, *others = found
    best = replace(best, tested={other.trials[0]: apart for other in others for apart in other.tested.values()})
    found = (best, *others)
    ranked = Ranking(group(limit=limit), found, like_these)
    return Case(ranked, "20 ms", 20_000_000, DeadlineConfig(), {found[0].trials[0]: 85}, uncertified=len(found), **more)


def short(answers: FiveAnswers) -> list[str]:
    return [said.short for said in answers.rows]


ALIKE = standing("b", 0.87, 20.1)
BEST = standing("a", 0.896, 18.3)


def test_a_winner_among_models_is_said_for_these_samples_and_no_others() -> None:
    other = against(BEST, standing("a", 0.884, 21.5, "n"), 0.0025, 0.021, apart=True)
    answers = five_answers(case(BEST, other, against(BEST, ALIKE, -0.0267, 0.0795, apart=False)))
    assert short(answers) == [
        "m, 0.896 of its ideal 0.900",
        "0.012 [0.002, 0.021], 1.3 % of ideal quality",
        "For these 20 samples yes; other samples no; fresh processes not yet",
        "Yes, from 18.3 ms on, observed",
        "Rests on 20 samples; no deadline certified",
    ]
    wins, much, shown, kept, _ = (said.text for said in answers.rows)
    assert wins.endswith("On a, which ties with b: at most 0.080 apart.")
    assert much.endswith("For these 20 samples, more than n (0.884 of its ideal 0.900).")
    assert shown.endswith("Which of the tied systems is best is not shown. More samples: the task has no more.")
    assert kept.endswith(
        "m on a: 99 % of ideal quality in 90 % of rounds; not certified: 85 more rounds could do it. "
        "Tied, but not within 20.0 ms: b (from 20.1 ms on). n does not: from 21.5 ms on."
    )
    assert answers.models == (
        (
            "m",
            "tie of both systems, 0.896 to 0.870 of their ideal 0.900, at most 0.080 apart",
            "none: all tie",
            "",
            "from 18.3 ms on; not: b from 20.1 ms on",
        ),
        ("n", "a, 0.884 of its ideal 0.900", "none", "", "no: a from 21.5 ms on"),
    )
    assert answers.lines == ("n: a, 0.884 of its ideal 0.900.",)


def test_models_may_be_apart_on_other_samples_too_tie_or_not_be_tested() -> None:
    other = against(BEST, standing("a", 0.8, 15, "n", 3), 0.05, 0.15, apart=True)
    first = replace(BEST, processes=3)
    apart = five_answers(case(first, other, like_these=frozenset("n"), limit=20))
    assert short(apart)[2:] == [
        "Yes, for other samples like these 20 samples too; fresh processes too",
        "Yes, from 18.3 ms on, observed",
        "No deadline certified",
    ]
    tied = five_answers(case(BEST, against(BEST, other, -0.01, 0.005, apart=False), limit=20))
    assert short(tied)[:3] == [
        "Tie of both models, 0.896 of their ideal 0.900".replace("0.896", "0.896 to 0.800"),
        "A tie: at most 0.010 apart",
        "No: these 20 samples do not tell the models apart",
    ]
    assert "More samples: set task.limit above 20." in tied.rows[2].text
    untested = five_answers(case(BEST, other, like_these=None))
    assert short(untested)[0] == "m is ahead, 0.896 of its ideal 0.900"
    assert short(untested)[2] == "Models were not tested against each other"


def test_where_none_keeps_its_quality_the_first_answer_says_so() -> None:
    best = replace(standing("a", 0.396, 177, processes=3), flags=("unpinned",), low=0.2, high=0.6)
    other = against(best, standing("b", 0.058, 378, processes=3), 0.1995, 0.4755, apart=True)
    answers = five_answers(case(best, other))
    assert short(answers) == [
        "Neither keeps its quality; a keeps most, 0.396 of 0.900",
        "0.338 [0.199, 0.476], 37.6 % of ideal quality",
        "Yes, with reserve, for these 20 samples and fresh processes",
        "No: a from 177 ms on, b from 378 ms on",
        "Rests on 20 samples; of 2 systems 1 flagged, 1 unsteady; no deadline certified",
    ]
    assert answers.rows[0].text.endswith("Both are of m · r.")
    assert answers.rows[1].text.endswith("For these 20 samples, more than b (0.058).")
    assert "With reserve because of the flags below." in answers.rows[2].text


def test_a_tie_has_a_bound_and_names_what_is_unsteady_in_it_and_what_is_behind() -> None:
    unsteady = replace(against(BEST, ALIKE, -0.01, 0.0583, apart=False), low=0.7)
    behind = against(BEST, standing("c", 0.133, 40), 0.5398, 0.767, apart=True)
    last = against(BEST, standing("d", 0.0, 60), 0.8, 0.9, apart=True)
    answers = five_answers(case(BEST, unsteady, behind, last))
    assert short(answers)[:3] == [
        "Tie of 2 of 4 systems, 0.896 to 0.870 of their ideal 0.900",
        "A tie: at most 0.059 apart",
        "Yes, that 2 others keep less, for these 20 samples; fresh processes not yet; no order within the tie",
    ]
    assert "Unsteady among them: b." in answers.rows[0].text
    assert answers.rows[1].text.endswith(
        "For these 20 samples. Next behind: c, 0.133: 0.763 [0.539, 0.767] less, 84.8 % of ideal quality. The last: d, 0.000."
    )
    three = five_answers(case(BEST, unsteady, against(BEST, replace(behind, mean=0.86), -0.01, 0.06, apart=False), last))
    assert short(three)[1] == "A tie: at most 0.060 from a"
    none = five_answers(replace(case(BEST, unsteady, behind), ns=10_000_000))
    assert short(none)[0] == "None keeps its quality; a tie of 2 of 3 keeps most, 0.896 to 0.870 of their ideal 0.900"
    assert "Nor do the tied b (from 20.1 ms on)." in none.rows[3].text


def test_all_may_tie_and_what_is_not_stored_has_no_interval() -> None:
    answers = five_answers(case(BEST, against(BEST, ALIKE, -0.01, 0.05, apart=False)))
    assert short(answers)[2] == "No: no system is told from the best"
    near = five_answers(replace(case(BEST, replace(ALIKE, high=0.9)), tested=False, needed=((Piece("see there"),),)))
    assert short(near)[1:3] == ["A tie: means up to 0.026 apart, no interval of that", "Not tested at this deadline"]
    assert near.rows[2].text.endswith("see there")
    level = standing("a", BEST.mean, 20, "n")
    assert short(five_answers(replace(case(BEST, level, like_these=None), tested=False)))[1] == "Nothing: as much as the next"
    little = replace(level, mean=BEST.mean - 0.0001)
    assert short(five_answers(replace(case(BEST, little, like_these=None), tested=False)))[1] == "Less than 0.001"
    late = replace(case(replace(BEST, mean=0.0), replace(ALIKE, mean=0.0), like_these=None), tested=False)
    assert short(five_answers(late))[0] == "Nothing: no system keeps anything within it"
    alone = five_answers(case(BEST))
    assert [said.question for said in alone.rows] == ["What is kept within 20 ms", "Is the deadline kept", "What is doubtful"]


def test_a_difference_that_a_test_shows_has_limits_that_leave_out_0() -> None:
    other = against(BEST, standing("b", 0.89, 18), -0.0002, 0.0129, apart=True, test="p 0.004")
    assert short(five_answers(case(BEST, other)))[1] == "0.006, above 0 and at most 0.013, 0.7 % of ideal quality"


def test_the_deadline_of_another_is_named_where_the_best_keeps_none_so_short() -> None:
    quicker = against(BEST, standing("b", 0.5, 5), 0.3, 0.5, apart=True)
    slower = against(BEST, standing("c", 0.4, 90), 0.3, 0.6, apart=True)
    kept = five_answers(replace(case(BEST, quicker, slower), ns=10_000_000)).rows[3]
    assert kept.short == "No, only from 18.3 ms on, observed"
    assert kept.text.endswith("Shortest of all: b, from 5.00 ms on.")


@pytest.mark.parametrize(
    ("flagged", "said"),
    [
        (2, "Rests on 20 samples; both systems flagged; no deadline certified"),
        (1, "Rests on 20 samples; of 2 systems 1 flagged; no deadline certified"),
    ],
)
def test_doubts_are_counted_and_listed_with_what_to_do(flagged: int, said: str) -> None:
    first = replace(BEST, flags=("unpinned",))
    other = against(BEST, replace(ALIKE, flags=("unpinned",) * (flagged - 1)), 0.01, 0.05, apart=True)
    found = five_answers(case(first, other, doubts=(Doubt("unpinned", "#flag-0", "a", "pin it"),)))
    assert found.rows[-1].short == said
    assert found.rows[-1].text.endswith("20 samples: others may say otherwise. unpinned: a; pin it.")
    assert (
        five_answers(replace(case(first), uncertified=0, unwell=((Piece("1 trial is not done"),),)))
        .rows[-1]
        .text.endswith("1 trial is not done")
    )
