"""What is found is a fact with its values; one golden text per medium shows how it is said."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.quality import JudgedMean, Judgement
from orchestrator.analysis.ranking import Less, Ranking, Standing, rankings
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.findings import Finding, say, text_lines
from orchestrator.report.findings.campaign import RESUME, findings, of_campaign
from orchestrator.report.findings.task import of_task
from orchestrator.storage.reader import open_campaign

GROUP: Any = SimpleNamespace(
    task="pictures", clock="total",
    thresholds=SimpleNamespace(primary=SimpleNamespace(label="5 ms", ns=5_000_000, origin="absolute")),
    trials=[SimpleNamespace(
        trial_id="t", metric="top1", references=[""] * 10,
        record=SimpleNamespace(trial=SimpleNamespace(server=SimpleNamespace(is_asked=False))),
    )],
)  # fmt: skip
NOTHING: Any = SimpleNamespace(rows=lambda name: [], analysis=AnalysisConfig())


def standing(
    system: str,
    mean: float,
    less: Less | None = None,
    model: str = "m",
    kept_ms: float = math.inf,
    judged: Judgement | None = None,
) -> Standing:
    names = {"model": model, "system": system, "runtime": "r", "batch": "1", "settings": ""}
    of_best = {"m a": less} if less else {}
    return Standing(
        names,
        (f"{model} {system}",),
        mean,
        mean - 0.01,
        mean + 0.01,
        mean,
        0.811,
        judged or JudgedMean(np.array([0.811])),
        1,
        (),
        of_best,
        (math.inf, kept_ms * 1e6),
    )


def found(*systems: Standing, like_these: frozenset[str] | None = frozenset()) -> dict[str, Finding]:
    return {one.kind: one for one in of_task(NOTHING, Ranking(GROUP, systems, like_these))}


def less(shown: bool, difference: float = 0.1) -> Less:
    return Less(shown, difference, difference - 0.05, difference + 0.05)


def test_the_tie_ends_at_the_first_system_that_is_shown_worse() -> None:
    made = found(standing("a", 0.8), standing("d", 0.79, less(False)), standing("b", 0.78, less(True)), standing("c", 0.77, less(False)))
    assert (made["winner"].values["name"], made["winner"].values["tied"], made["winner"].values["systems"]) == ("a", 1, 4)
    assert [made["runner_up"].values[key] for key in ("name", "verdict", "more_tied")] == ["d", "tie", 0]


@pytest.mark.parametrize(("of_other", "verdict"), [(less(True), "shown"), (less(False), "tie"), (None, "not tested")])
def test_the_runner_up_has_the_difference_over_common_visits_and_what_is_known_of_it(of_other: Less | None, verdict: str) -> None:
    values = found(standing("a", 0.8), standing("b", 0.75, of_other))["runner_up"].values
    assert values["verdict"] == verdict
    assert (values["difference"], values["low"]) == ((0.1, pytest.approx(0.05)) if of_other else (pytest.approx(0.05), None))


def test_models_are_told_apart_on_samples_like_these_alone() -> None:
    systems = standing("a", 0.8), standing("b", 0.79, less(True)), standing("a", 0.7, less(True), "n")
    for like_these, verdict, only_here in ((frozenset("n"), "shown", False), (frozenset(""), "shown", True), (None, "not tested", True)):
        [other] = found(*systems, like_these=like_these)["other_models"].values["models"]  # type: ignore[arg-type]
        assert (other["model"], other["verdict"], other["only_here"]) == ("n", verdict, only_here)
    alone = found(systems[0], systems[2])
    assert alone["runner_up"].values["name"] == "n"
    assert "other_models" not in alone


def test_a_share_stands_for_a_difference_where_quality_has_another_scale() -> None:
    error = JudgedMean(np.array([0.811]), late=10.0)
    values = found(standing("a", 1.0, judged=error), standing("b", 2.0, less(True), judged=error))["runner_up"].values
    assert (values["plain"], values["share"]) == (False, pytest.approx(1 / (10 - 0.811)))


def test_nothing_wins_where_nothing_is_kept() -> None:
    assert list(found(standing("a", 0.0), standing("b", 0.0))) == ["nothing_kept", "deadline_kept"]


def test_the_deadline_is_kept_from_where_the_best_keeps_it_and_missed_by_what_ties() -> None:
    best, tied, behind = (
        standing("a", 0.8, kept_ms=6),
        standing("b", 0.79, less(False), kept_ms=7),
        standing("c", 0.7, less(True), kept_ms=3),
    )
    values = found(best, tied, behind)["deadline_kept"].values
    assert [values[key] for key in ("kept", "from_ns", "certified", "missed_by", "first")] == [False, 6e6, False, ["b"], "c"]
    certified = found(replace(best, deadlines=(4e6, 3e6)), tied)["deadline_kept"].values
    assert [certified[key] for key in ("kept", "from_ns", "certified")] == [True, 4e6, True]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    campaign = open_campaign(measure_small(tmp_path_factory.mktemp("found") / "r", primary="14 ms"))
    return analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14ms"}))


def of_kind(results: CampaignAnalysis, kind: str, ranked: Any = None) -> list[Finding]:
    return [one for one in of_campaign(results, ranked or rankings(results)) if one.kind == kind]


def commands(results: CampaignAnalysis, ranked: Any = None) -> list[str]:
    return [one.values["command"] for one in of_kind(results, "next_step", ranked)]


def test_without_a_deadline_one_is_proposed_and_a_percentile_is_called_none(results: CampaignAnalysis) -> None:
    for asked in (None, "p50"):
        at = results.analysis.model_copy(update={"primary": asked})
        without = replace(results, analysis=at)
        [group] = results.groups
        [one, *_] = of_task(without, Ranking(group, ()))
        assert (one.kind, one.values["asked"]) == ("no_deadline", asked)
        low, high = one.values["observed"]
        assert low <= float(one.values["ms"]) * 1e6 * 1.05
        assert float(one.values["ms"]) * 1e6 <= high * 1.05


def test_the_next_step_measures_repeats_at_the_deadline_in_use(results: CampaignAnalysis) -> None:
    small = "python -m orchestrator +sweep=small model=null measurement.repeat=5"
    assert commands(replace(results, analysis=results.campaign.config.analysis)) == [small]
    at = replace(results, analysis=results.analysis.model_copy(update={"primary": "18 ms"}))
    assert commands(at, rankings(results)) == [f"{small} 'analysis.primary=\"18 ms\"'"]
    assert commands(replace(results, commands=())) == []


def test_an_unfinished_campaign_is_gone_on_with_before_anything_else(results: CampaignAnalysis) -> None:
    first, *others = results.campaign.trials
    trials = (first.model_copy(update={"state": "interrupted"}), *(one.model_copy(update={"state": "planned"}) for one in others))
    begun = replace(results, campaign=results.campaign.model_copy(update={"trials": trials}))
    [unfinished] = of_kind(begun, "unfinished")
    assert unfinished.values["states"] == {"interrupted": 1, "planned": len(others)}
    assert commands(begun) == [RESUME]


def test_a_caution_counts_the_trials_of_a_flag(results: CampaignAnalysis) -> None:
    [one] = of_kind(results, "caution")
    counts = {flag["name"]: flag["count"] for flag in one.values["flags"]}
    [group] = results.groups
    assert counts["unpinned"] == sum("unpinned" in flags for flags in group.flags.values())
    assert one.values["single"]


GOLDEN = {
    "text": "Tie within 5 ms: a<b>|`c` · m, top1 0.800 [0.790, 0.811] of 0.811; 2 of 2 systems tie",
    "markdown": "Tie within 5 ms: a&lt;b>\\|\\`c\\` · m, top1 0.800 [0.790, 0.811] of 0.811; 2 of 2 systems tie",
    "html": "Tie within 5 ms: a&lt;b&gt;|`c` · m, top1 0.800 [0.790, 0.811] of 0.811; 2 of 2 systems tie",
}


@pytest.mark.parametrize("medium", GOLDEN)
def test_a_finding_is_said_in_every_medium_and_names_steer_none(medium: Any) -> None:
    values = {
        "within": "5 ms", "name": "a<b>|`c` · m", "metric": "top1", "mean": 0.8, "low": 0.79, "high": 0.811, "ideal": 0.811, "plain": True,
        "processes": 1, "systems": 2, "tied": 1,
    }  # fmt: skip
    assert say(Finding("winner", "pictures", values), medium) == GOLDEN[medium]


def test_a_terminal_has_six_lines_and_breaks_no_command(results: CampaignAnalysis) -> None:
    said = [*findings(replace(results, analysis=results.campaign.config.analysis), rankings(results)), Finding("report", "", {"path": "p"})]
    lines = list(text_lines(said, 1000))
    assert len(lines) <= 6
    assert [line.partition(":")[0] for line in lines] == ["Best within 14 ms", "Runner-up", "Caution", "Next", "Report"]
    narrow = list(text_lines(said, 60))
    assert [line for line in narrow if len(line) > 60] == [line for line in narrow if line.startswith("Next:")]
