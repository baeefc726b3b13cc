"""Every verb that reads results finds in stored campaigns what version 0.2.0 found in them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import stored_corpus
from program import orchestrator
from small_campaign import read_document, reseal_json

SHOWN = 20
QUICK = ("chat", "language", "reviews", "rounds120", "server-cost")
"""Cases of the fast set; the others take longer."""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_corpus.unpack(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("case", [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in stored_corpus.CASES])
def test_every_number_is_as_it_was(case: str, corpus: Path) -> None:
    expected = stored_corpus.read_expected(case)
    assert expected, f"nothing is stored of {case}: run `python tests/corpus/record.py {case}`"
    found = list(stored_corpus.differences(expected, stored_corpus.found_in(case, corpus)))
    more = [f"and {len(found) - SHOWN} more columns"] if len(found) > SHOWN else []
    assert not found, "\n".join([f"{len(found)} columns differ:", *map(str, found[:SHOWN]), *more])


def test_nothing_is_stored_of_cases_that_there_are_not() -> None:
    stored = {path.name.removesuffix(".json.xz") for path in stored_corpus.EXPECTED.iterdir()}
    assert stored == set(stored_corpus.CASES)


def test_patterns_can_be_read() -> None:
    with (stored_corpus.FOLDER / "recorded_anew.toml").open("rb") as file:
        assert all("." in pattern for pattern in tomllib.load(file)["patterns"])


@pytest.mark.slow
def test_an_interrupted_campaign_goes_on_or_says_why_not(tmp_path: Path) -> None:
    """Its driver was killed; code and host are others by now. Two of its trials failed."""
    campaign = stored_corpus.unpack(tmp_path) / "c" / "broken"
    record = read_document(campaign / "campaign.json")
    record["config"]["code"] = [str(tmp_path / "code")]
    reseal_json(campaign / "campaign.json", record)
    done = orchestrator("resume", campaign, "--accept-changes", "--quiet", cwd=tmp_path)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
    else:
        states = [trial["state"] for trial in read_document(campaign / "campaign.json")["trials"]]
        assert sorted(states) == ["done", "done", "failed", "failed"]


@pytest.mark.parametrize(
    ("before", "after", "far"),
    [
        (1.0, 1.0 + 1e-13, None),
        (1.0, 1.0 + 1e-11, 1e-11),
        (0, 1e-300, 1.0),
        ([1, {"a": 2}], [1, {"a": 3}], 1 / 3),
    ],
)
def test_distances(before: object, after: object, far: float | None) -> None:
    expected = far if far is None else pytest.approx(far, rel=1e-3)
    assert stored_corpus.distance_of(before, after) == expected


def test_what_differs_is_named() -> None:
    before = {
        "x/t": {"trial": ["a", "b"], "mean": [1, 2], "flags": [["u"], []], "old": [0, 0]},
        "x/gone": {},
    }
    after = {"x/t": {"trial": ["b", "a"], "mean": [2, 1.5], "flags": [["v"], ["u"]], "new": [0, 0]}}
    found = {(one.table, one.column): one for one in stored_corpus.differences(before, after)}
    assert set(found) == {
        ("x/gone", "*"),
        ("x/t", "mean"),
        ("x/t", "flags"),
        ("x/t", "old"),
        ("x/t", "new"),
    }
    assert found["x/t", "mean"].cells == 1
    assert found["x/t", "mean"].furthest == pytest.approx(1 / 3)
    assert stored_corpus.allowed(found["x/t", "flags"], ["*.flags"])
    assert not stored_corpus.allowed(found["x/t", "mean"], ["t.flags", "u.*"])
    shorter = {name: cells[:1] for name, cells in before["x/t"].items()}
    lost = stored_corpus.differences(before, {**before, "x/t": shorter})
    assert [(one.column, one.cells) for one in lost] == [("*", 1)]
