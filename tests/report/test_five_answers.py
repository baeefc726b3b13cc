"""The five short answers: which wins, by how much, is it shown, is the deadline kept, what is doubtful."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.analysis.ranking import Less, Ranking, Standing
from orchestrator.analysis.tables.tail_quality import IN_SAMPLE
from orchestrator.analysis.units import FEW, ONE_STRETCH
from orchestrator.configuration.analysis import DeadlineConfig
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.answer_parts import Case, Doubt, FiveAnswers, Piece
from orchestrator.report.five_answers import five_answers
from orchestrator.report.tied_systems import with_reserve
from orchestrator.storage.records import SHARED


def group(samples: int = 20, limit: int | None = None) -> Any:
    trial = SimpleNamespace(task=SimpleNamespace(limit=limit))
    return SimpleNamespace(trials=[SimpleNamespace(metric="top1", references=[""] * samples, record=SimpleNamespace(trial=trial))])


def standing(system: str, mean: float, kept_ms: float, model: str = "m", processes: int = 1) -> Standing:
    names = {"model": model, "system": system, "runtime": "r", "batch": "1", "settings": ""}
    low, high = mean - 0.01, min(mean + 0.01, 0.9)
    return Standing(names, (f"{model} {system}",), mean, low, high, low, 0.9, PLAIN, processes, (), deadlines=(math.inf, kept_ms * 1e6))


def against(best: Standing, other: Standing, low: float, high: float, apart: bool, test: str = "") -> Standing:
    """The other with its stored difference from the best."""
    return replace(other, tested={best.trials[0]: apart}, less={best.trials[0]: Less(best.mean - other.mean, low, high, test)})


def case(*found: Standing, like_these: frozenset[str] | None = frozenset(), limit: int | None = None, **more: Any) -> Case:
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
        "m on a, 0.896 of 0.900",
        "0.012 [0.002, 0.021] more than n, 1.3 % of ideal",
        "Yes, for these 20 samples only",
        "Yes, from 18.3 ms on, observed; 1 tied system misses it",
        "20 samples; no deadline certified",
    ]
    wins, much, shown, kept, _ = (said.text for said in answers.rows)
    assert wins.endswith("b (0.870) is not shown worse: may keep up to 0.080 less, and so need not beat n.")
    assert much.endswith("For these 20 samples; that keeps 0.884 of 0.900 on a.")
    assert shown == (
        "Yes, for these 20 samples only Other samples like these: not shown; the task has no more. "
        "Fresh processes: not tested. "
        "No flag touches these systems."
    )
    assert kept.endswith(
        "m on a: 99 % of ideal quality in 90 % of rounds, as observed; not certified: 85 more rounds may certify it. "
        "Not shown worse, but misses it: b (only from 20.1 ms on). n misses it: on a only from 21.5 ms on."
    )
    assert answers.models == (
        (
            "m",
            "a, 0.896 of its ideal 0.900; b (0.870) is not shown worse: may keep up to 0.080 less",
            "none: all tie",
            "",
            "from 18.3 ms on; b only from 20.1 ms on",
        ),
        ("n", "a, 0.884 of its ideal 0.900", "none", "", "no: a only from 21.5 ms on"),
    )


def test_models_may_be_apart_on_other_samples_too_tie_or_not_be_tested() -> None:
    other = against(BEST, standing("a", 0.8, 15, "n", 3), 0.05, 0.15, apart=True)
    first = replace(BEST, processes=3)
    apart = five_answers(case(first, other, like_these=frozenset("n"), limit=20))
    assert short(apart)[2:] == [
        "Yes, for samples like these 20 and fresh processes",
        "Yes, from 18.3 ms on, observed",
        "No deadline certified",
    ]
    assert apart.rows[2].text.endswith(
        "Other samples like these: shown. Fresh processes: shown (3 of each system). No flag touches these systems."
    )
    one_process = five_answers(case(BEST, replace(other, processes=1), like_these=frozenset("n")))
    assert short(one_process)[2] == "Yes, for samples like these 20; fresh processes not tested"
    tied = five_answers(case(BEST, against(BEST, other, -0.01, 0.005, apart=False), limit=20))
    assert short(tied)[:3] == [
        "No winner: both models tie, 0.896 to 0.800 of 0.900",
        "A tie: at most 0.010 apart",
        "No difference shown for these 20 samples",
    ]
    assert "Other samples like these: not shown; task.limit above 20 adds some. Fresh processes: not tested (1 to 3 of each system)." in (
        tied.rows[2].text
    )
    untested = five_answers(case(BEST, other, like_these=None))
    assert short(untested)[0] == "m on a · r is ahead, 0.896 of 0.900"
    assert untested.rows[2].text == "Models were not tested against each other No flag touches these systems."


def test_where_none_keeps_its_quality_the_first_answer_says_so() -> None:
    best = replace(standing("a", 0.396, 177, processes=3), flags=(SHARED,), low=0.2, high=0.6)
    other = against(best, standing("b", 0.058, 378, processes=3), 0.1995, 0.4755, apart=True)
    answers = five_answers(case(best, other))
    assert short(answers) == [
        "Neither keeps its quality; a keeps more, 0.396 of 0.900",
        "0.338 [0.199, 0.476] more than b, 37.6 % of ideal",
        "Yes, with reserve (machine shared), for these 20 samples and fresh processes",
        "No, with reserve (machine shared): from 177 ms (a), 378 ms (b)",
        "20 samples; of 2 systems 1 flagged, 1 unsteady, none certified",
    ]
    assert answers.rows[0].text.endswith("Both are of m · r. On a shared machine, which makes answers late.")
    assert answers.rows[1].text.endswith("For these 20 samples; b keeps 0.058.")
    assert answers.rows[2].text.endswith(
        "Other samples like these: not tested; the task has no more. Fresh processes: shown (3 of each system). "
        "Flagged: a (machine shared with other trials). Times may be longer than alone; whether the order would be the same alone is not known. Unsteady: a."
    )
    both = five_answers(case(best, replace(other, flags=(SHARED, "unpinned")))).rows[2].text
    assert "Both carry: machine shared with other trials. Flagged: b (unpinned)." in both


@pytest.mark.parametrize(
    ("best", "alike", "behind", "reserve", "said"),
    [
        ((), (), (), "", "No flag touches these systems."),
        ((), (IN_SAMPLE,), (), ", with reserve (in-sample)", "Flagged: b (in-sample). That may hide a difference but makes none up."),
        ((), (), ("unpinned",), ", with reserve (unpinned)", "Flagged: c (unpinned). Whether that changes the order is not known."),
        (
            ("unpinned",),
            ("unpinned",),
            ("unpinned",),
            ", with reserve (unpinned)",
            "All of these carry: unpinned. Whether that changes the order is not known.",
        ),
    ],
)
def test_flags_of_the_best_of_a_tie_and_of_the_next_are_said_with_reserve_and_no_others(
    best: tuple[str, ...], alike: tuple[str, ...], behind: tuple[str, ...], reserve: str, said: str
) -> None:
    first, tied = replace(BEST, flags=best), replace(against(BEST, ALIKE, -0.01, 0.05, apart=False), flags=alike)
    after = replace(against(BEST, standing("c", 0.5, 40), 0.3, 0.5, apart=True), flags=behind)
    last = replace(against(BEST, standing("d", 0.1, 40), 0.6, 0.9, apart=True), flags=("unpinned",))
    shown = five_answers(case(first, tied, after, last)).rows[2]
    assert shown.short == f"Yes{reserve}: 2 others keep less on these 20 samples"
    assert shown.text.endswith(said)


def test_of_models_a_flag_beside_the_best_systems_does_not_touch_their_difference() -> None:
    other = against(BEST, standing("a", 0.894, 18, "n"), -0.003, 0.005, apart=False)
    tied = replace(against(other, standing("b", 0.89, 60, "n"), -0.01, 0.03, apart=False), flags=("drift",))
    shown, kept = five_answers(case(BEST, other, tied)).rows[2:4]
    assert shown.short == "No difference shown, with reserve (drift), for these 20 samples"
    assert shown.text.endswith("Flagged: n on b (drift). The best systems, which are compared, have no flag.")
    assert kept.short == "Yes, from 18.3 ms on, observed; 1 tied system misses it"
    assert kept.text.endswith("n does on a from 18.0 ms on; not on b (only from 60.0 ms on).")


def test_a_tie_has_a_bound_and_names_what_is_unsteady_in_it_and_what_is_behind() -> None:
    unsteady = replace(against(BEST, ALIKE, -0.01, 0.0583, apart=False), low=0.7)
    behind = against(BEST, standing("c", 0.133, 40), 0.5398, 0.767, apart=True)
    last = against(BEST, standing("d", 0.0, 60), 0.8, 0.9, apart=True)
    answers = five_answers(case(BEST, unsteady, behind, last))
    assert short(answers)[:3] == [
        "a, 0.896 of 0.900; 1 of 3 others not shown worse",
        "b not shown worse: at most 0.059 less",
        "Yes: 2 others keep less on these 20 samples",
    ]
    assert "b (0.870) is not shown worse: may keep up to 0.059 less." in answers.rows[0].text
    assert answers.rows[2].text.endswith(
        "Less than a; no order within the tie. Other samples like these: not tested; the task has no more. "
        "Fresh processes: not tested. No flag touches these systems. Unsteady: b."
    )
    assert answers.rows[1].text.endswith(
        "For these 20 samples. Next behind: c, 0.133: 0.763 [0.539, 0.767] less, 84.8 % of ideal quality. The last: d, 0.000."
    )
    three = five_answers(case(BEST, unsteady, against(BEST, replace(behind, mean=0.86), -0.01, 0.06, apart=False), last))
    assert short(three)[1] == "b, c not shown worse: at most 0.060 less"
    started_anew = five_answers(case(*(replace(one, processes=3) for one in (BEST, unsteady, behind)))).rows[2].text
    assert "the task has no more. Fresh processes: shown (3 of each system). No flag" in started_anew
    none = five_answers(replace(case(BEST, unsteady, behind), ns=10_000_000))
    assert short(none)[0] == "None keeps its quality; most: a, 0.896 of 0.900"
    assert "Nor does what ties with it: b (only from 20.1 ms on)." in none.rows[3].text


def test_all_may_tie_and_what_is_not_stored_has_no_interval() -> None:
    answers = five_answers(case(BEST, against(BEST, ALIKE, -0.01, 0.05, apart=False)))
    assert short(answers)[:3] == [
        "No winner: both systems tie, 0.896 to 0.870 of 0.900",
        "A tie: at most 0.050 apart",
        "No difference shown for these 20 samples",
    ]
    near = five_answers(replace(case(BEST, ALIKE), tested=False, needed=((Piece("see there"),),)))
    assert short(near)[:3] == [
        "a is ahead, 0.896 of 0.900; not tested",
        "0.026 more than b, 2.9 % of ideal",
        "Not tested at this deadline",
    ]
    assert near.rows[2].text.endswith("see there")
    level = standing("a", BEST.mean, 20, "n")
    assert short(five_answers(replace(case(BEST, level, like_these=None), tested=False)))[1] == "Nothing: as much as n"
    little = replace(level, mean=BEST.mean - 0.0001)
    assert short(five_answers(replace(case(BEST, little, like_these=None), tested=False)))[1] == "Less than 0.001 more than n"
    late = replace(case(replace(BEST, mean=0.0), replace(ALIKE, mean=0.0), like_these=None), tested=False)
    assert short(five_answers(late))[0] == "Nothing: no system keeps anything within it"
    alone = five_answers(case(BEST))
    assert [said.question for said in alone.rows] == ["What is kept within 20 ms", "Is the deadline kept", "What is doubtful"]
    of_others = "Other samples like these: not tested; the task has no more."
    assert alone.rows[-1].text.endswith(f"{of_others} Fresh processes: not tested.")
    assert five_answers(case(replace(BEST, processes=3))).rows[-1].text.endswith(of_others)


def test_a_difference_that_a_test_shows_has_limits_that_leave_out_0() -> None:
    other = against(BEST, standing("b", 0.89, 18), -0.0002, 0.0129, apart=True, test="p 0.004")
    assert short(five_answers(case(BEST, other)))[1] == "0.006 more than b, above 0 and at most 0.013, 0.7 % of ideal"


def test_the_deadline_of_another_is_named_where_the_best_keeps_none_so_short() -> None:
    quicker = against(BEST, standing("b", 0.5, 5), 0.3, 0.5, apart=True)
    slower = against(BEST, standing("c", 0.4, 90), 0.3, 0.6, apart=True)
    kept = five_answers(replace(case(BEST, quicker, slower), ns=10_000_000)).rows[3]
    assert kept.short == "No, only from 18.3 ms on, observed"
    assert kept.text.endswith("Shortest of all: b, from 5.00 ms on.")


@pytest.mark.parametrize(
    ("flagged", "said"),
    [
        (2, "20 samples; both systems flagged, none certified"),
        (1, "20 samples; of 2 systems 1 flagged, none certified"),
    ],
)
def test_doubts_are_counted_and_listed_with_what_to_do(flagged: int, said: str) -> None:
    first = replace(BEST, flags=("unpinned",))
    other = against(BEST, replace(ALIKE, flags=("unpinned",) * (flagged - 1)), 0.01, 0.05, apart=True)
    found = five_answers(case(first, other, doubts=(Doubt("unpinned", "#flag-0", "a", "pin it"),)))
    assert found.rows[-1].short == said
    assert found.rows[-1].text.endswith("certified unpinned: a; pin it.")
    assert (
        five_answers(replace(case(first), uncertified=0, unwell=((Piece("1 trial is not done"),),)))
        .rows[-1]
        .text.endswith("1 trial is not done")
    )


def test_of_many_systems_with_many_doubts_what_to_do_is_left_to_the_glossary() -> None:
    doubts = tuple(Doubt(term, "#flag-0", "all", "do this") for term in "pqrs")
    others = [against(BEST, standing(f"x{number}", 0.5, 40), 0.3, 0.5, apart=True) for number in range(16)]
    crowded, few = (five_answers(case(*found, doubts=doubts)).rows[-1].text for found in ((BEST, *others), (BEST, *others[:3])))
    assert crowded.endswith("p: all. q: all. r: all. s: all. What to do about each stands in the glossary.")
    assert few.endswith("s: all; do this.")


def test_several_flags_of_some_and_several_late_systems_of_another_model_are_counted() -> None:
    drifting = replace(BEST, flags=("drift",))
    tied = replace(against(drifting, ALIKE, -0.01, 0.02, apart=False), flags=("unpinned",))
    assert "Some are flagged, see below: drift, unpinned." in five_answers(case(drifting, tied)).rows[2].text
    other = against(BEST, standing("a", 0.894, 18, "n"), -0.003, 0.005, apart=False)
    late = [
        against(other, standing(name, 0.89, kept_ms, "n"), -0.01, 0.03, apart=False) for name, kept_ms in (("b", 60), ("c", 50), ("d", 70))
    ]
    kept = five_answers(case(BEST, other, *late)).rows[3]
    assert kept.text.endswith("n does on a from 18.0 ms on; 3 of those that tie with it only from 50.0 ms on or later.")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), ""),
        (("drift",), ", with reserve (drift)"),
        ((ONE_STRETCH, SHARED), ", with reserve (machine shared etc.)"),
        (("unpinned", SHARED, "unpinned"), ", with reserve (machine shared, unpinned)"),
        ((IN_SAMPLE, FEW), ", with reserve (few units, in-sample)"),
        ((FEW, "drift", SHARED, IN_SAMPLE), ", with reserve (machine shared etc.)"),
        (("a later process answers 3 samples otherwise", "answers change"), ", with reserve (answers change)"),
        (("niceness 0 at first and 5 at the end",), ", with reserve (flagged)"),
        (("2 incomplete rounds",), ", with reserve (2 incomplete rounds)"),
    ],
)
def test_a_reserve_names_its_reason_in_at_most_three_words(flags: tuple[str, ...], said: str) -> None:
    assert with_reserve(flags) == said
