from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from orchestrator.compare.campaigns import Comparison, compare_places
from orchestrator.compare.campaigns import compare as compare_campaigns
from orchestrator.compare.differences import LOAD_DIFFERS, differing_load
from orchestrator.compare.rows import measured
from orchestrator.compare.sides import load_repeats, reduce, write_baseline
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.files import write_json
from orchestrator.storage.layout import trial_folder
from orchestrator.storage.load import read_json
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import TrialRecord

pytestmark = pytest.mark.slow


def change_records(directory: Path, **changes: Any) -> None:
    """Write something else into every trial.json, sealed as a program would."""
    for planned in open_campaign(directory).record.trials:
        path = trial_folder(directory, planned.trial_id).record
        write_json(path, read_json(path, TrialRecord).model_copy(update=changes).model_dump(mode="json"))


def compared(before: Path, after: Path) -> Comparison:
    return compare_campaigns(open_campaign(before), open_campaign(after), AnalysisConfig())


def outcomes(before: Path, after: Path) -> set[str]:
    return {row.outcome for row in compared(before, after).rows}


@pytest.mark.parametrize(("name", "whose"), [("data", "data"), ("model", "weights")])
def test_unequal_digests_have_no_verdict(measure: Any, name: str, whose: str) -> None:
    before, after = measure("a"), measure("b", seed=1)
    digests = read_json(next(after.glob("trials/*/trial.json")), TrialRecord).digests
    change_records(after, digests=digests | {name: "other"})
    assert outcomes(before, after) == {f"no verdict: the {whose} differ"}


def test_the_same_settings_with_other_content_have_no_verdict(measure: Any) -> None:
    """The match key covers the digests, so that another content is another key."""
    before, after = measure("a"), measure("b", seed=1)
    campaign = open_campaign(after)
    other = {planned.match_key: f"{planned.match_key[:-8]}00000000" for planned in campaign.record.trials}
    trials = tuple(
        planned.model_copy(
            update={"match_key": other[planned.match_key], "trial_id": f"{other[planned.match_key]}-r{planned.trial.repeat}"}
        )
        for planned in campaign.record.trials
    )
    write_json(after / "campaign.json", campaign.record.model_copy(update={"trials": trials}).model_dump(mode="json"))
    assert outcomes(before, after) == {"no verdict: the data or weights differ"}


class NothingToBeRightAbout:
    """What mAP is of pictures without objects."""

    def ideal(self) -> float:
        return float("nan")

    def curve(self, times: Any, thresholds: Any) -> Any:
        return np.full((len(thresholds), len(times)), np.nan)


def test_quality_that_is_undefined_has_no_verdict(measure: Any) -> None:
    campaign = open_campaign(measure("a"))
    repeats = [planned for planned in campaign.record.trials if planned.trial.system.name == "cpu_all"]
    loaded = load_repeats(campaign, repeats)
    for data in loaded:
        data._judged["top1"] = NothingToBeRightAbout()
    stored = reduce(repeats, loaded, AnalysisConfig(), slowed=True)
    assert (stored.ideal, stored.thresholds) == (None, ())
    [row] = measured(stored, loaded, loaded, 3, "pairs", two_models=True)
    assert row.outcome == "no verdict: quality is undefined"


def test_a_baseline_that_mostly_has_no_time_has_no_threshold(measure: Any) -> None:
    campaign = measure("a", repeats=2, systems=("cpu_all",), model={"raises_on": [1, 2, 4]}, max_errors=20)
    assert outcomes(campaign, campaign) == {"no verdict: no threshold"}


def test_changes_of_code_stack_and_host_are_named(measure: Any) -> None:
    before, after = measure("a"), measure("b", seed=1)
    of_next = open_campaign(after).record.model_copy(update={"code_version": "next"})
    write_json(after / "campaign.json", of_next.model_dump(mode="json"))
    record = read_json(next(after.glob("trials/*/trial.json")), TrialRecord)
    change_records(after, stack=record.stack | {"torch": "9.9", "driver": "570"}, environment=record.environment | {"host": "elsewhere"})
    found = {one.name: (one.before, one.after) for one in compared(before, after).changes}
    assert found["version of this program"] == ("test", "next")
    assert found["driver"] == ("none", "570")
    assert found["host"][1] == "elsewhere"


def test_load_that_differs_marks_the_trial(measure: Any, tmp_path: Path) -> None:
    before, after = measure("a"), measure("b", seed=1)
    record = read_json(next(after.glob("trials/*/trial.json")), TrialRecord)
    for directory, ns in ((before, 1_000_000), (after, 1_100_000)):
        change_records(directory, environment=record.environment | {"kernel": {"before_ns": ns, "after_ns": ns}})
    write_baseline(open_campaign(before), AnalysisConfig(), tmp_path / "base.json")
    for side in (before, tmp_path / "base.json"):
        found = compare_places(side, after, ())
        assert {LOAD_DIFFERS in row.flags for row in found.rows} == {True}
        assert ("1.000 ms", "1.100 ms") in [(one.before, one.after) for one in found.changes]


FOREIGN = "foreign CPU time"
SURE = bool(stats.ttest_ind((0.1, 0.2, 0.3), (0.3, 0.4, 0.5)).pvalue <= 0.05)


@pytest.mark.parametrize(
    ("name", "before", "after", "differs"),
    [
        (FOREIGN, (0.1, 0.12, 0.11), (0.9, 0.95, 0.92), True),
        (FOREIGN, (0.01, 0.01, 0.01), (0.04, 0.04, 0.04), False),  # too little to matter
        (FOREIGN, (0.0, 0.9, 0.1), (0.8, 0.1, 0.9), False),  # as repeats differ
        (FOREIGN, (0.1,), (0.9,), True),
        (FOREIGN, None, (0.9,), False),
        ("frequency", (3000.0,) * 3, (2950.0,) * 3, False),
        ("frequency", (3000.0,) * 3, (2900.0,) * 3, True),
        (FOREIGN, (0.1, 0.2, 0.3), (0.3, 0.4, 0.5), SURE),
    ],
)
def test_load_differs_where_it_matters_and_by_more_than_repeats_do(
    name: str, before: tuple[float, ...] | None, after: tuple[float, ...], differs: bool
) -> None:
    assert list(differing_load({name: before} if before else {}, {name: after})) == [name] * differs
