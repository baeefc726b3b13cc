"""Every verb that reads results finds in stored campaigns what version 0.2.0 found in them.

``pytest tests/corpus --update-golden -rP`` prints what differs and stores what is found.
"""

from pathlib import Path

import pytest
import stored_corpus
from program import orchestrator
from small_campaign import read_document, reseal_json

QUICK = ("chat", "language", "reviews", "rounds120", "server-cost")
"""Cases of the fast set; the others take longer."""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_corpus.unpack(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("case", [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in stored_corpus.CASES])
def test_every_number_is_as_it_was(case: str, corpus: Path, request: pytest.FixtureRequest) -> None:
    found = stored_corpus.found_in(case, corpus)
    different = list(stored_corpus.differences(stored_corpus.read_expected(case), found))
    print(*different, sep="\n")  # noqa: T201
    if request.config.getoption("--update-golden"):
        stored_corpus.write_expected(case, found)
    else:
        assert different == []


@pytest.mark.slow
def test_an_interrupted_campaign_goes_on_or_says_why_not(tmp_path: Path) -> None:
    """Its driver was killed; code and host are others by now. Two of its trials failed."""
    campaign = stored_corpus.unpack(tmp_path) / "c" / "broken"
    record = read_document(campaign / "campaign.json")
    record["config"]["code"] = [str(tmp_path / "code")]
    reseal_json(campaign / "campaign.json", record)
    done = orchestrator("resume", campaign, "--accept-changes", "--quiet", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    states = [trial["state"] for trial in read_document(campaign / "campaign.json")["trials"]]
    assert sorted(states) == ["done", "done", "failed", "failed"]


@pytest.mark.parametrize(
    ("before", "after", "equal"),
    [(1.0, 1.0 + 1e-13, True), (1.0, 1.0 + 1e-11, False), (0, 1e-300, False), ([1, {"a": 2}], [1, {"a": 3}], False)],
)
def test_numbers_are_equal_within_the_tolerance(before: object, after: object, equal: bool) -> None:
    assert stored_corpus.are_equal(before, after) is equal


def test_what_differs_is_named() -> None:
    before = {"x/t": {"trial": ["a", "b"], "mean": [1, 2], "flags": [["u"], []], "old": [0, 0]}, "x/gone": {}}
    after = {"x/t": {"trial": ["b", "a"], "mean": [2, 1.5], "flags": [["v"], ["u"]], "new": [0, 0]}}
    found = [line.partition(":")[0] for line in stored_corpus.differences(before, after)]
    assert found == ["x/t.flags", "x/t.mean", "x/t.new", "x/t.old"]
