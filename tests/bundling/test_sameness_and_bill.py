from __future__ import annotations

import doctest
import json
from pathlib import Path

import pyarrow as pa
import pytest
from bundles import files_of
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from orchestrator.bundling import sameness
from orchestrator.bundling.sameness import document_difference, table_difference, text_difference
from orchestrator.bundling.sbom import materials, missing_from
from orchestrator.storage.reader import open_campaign


def test_examples_are_true() -> None:
    found = doctest.testmod(sameness)
    assert (found.failed, found.attempted > 3) == (0, True)


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ({"a": [0.1 + 0.2]}, {"a": [0.3]}, True),
        ({"a": [1e9]}, {"a": [1e9 + 1]}, True),
        ({"a": [0.5]}, {"a": [0.50001]}, False),
        ({"a": [float("nan")]}, {"a": [float("nan")]}, True),
        ({"a": [float("nan")]}, {"a": [0.0]}, False),
        ({"a": [None]}, {"a": [0.0]}, False),
        ({"a_ns": [10]}, {"a_ns": [11]}, True),
        ({"a_ns": [10]}, {"a_ns": [12]}, False),
        ({"rounds": [10]}, {"rounds": [11]}, False),
        ({"a": [True]}, {"a": [False]}, False),
        ({"a": ["x"]}, {"a": ["y"]}, False),
        ({"a": [["x", "y"]]}, {"a": [["x"]]}, False),
        ({"a": [1.0, 2.0]}, {"a": [1.0]}, False),
        ({"a": [1.0], "b": [1.0]}, {"a": [1.0]}, False),
    ],
)
def test_tables_are_the_same_but_for_rounding(mine: dict[str, list[object]], theirs: dict[str, list[object]], same: bool) -> None:
    assert (table_difference(pa.table(mine), pa.table(theirs), True) is None) == same


def test_columns_that_one_version_alone_knows_are_left_out() -> None:
    mine, theirs = pa.table({"a": [1.0], "new": [1]}), pa.table({"a": [1.0], "old": [1]})
    assert table_difference(mine, theirs, False) is None
    assert "new" in str(table_difference(mine, theirs, True))


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ("a\nmean 0.500 [0.4, 0.6]", "a\nmean 0.501 [0.4, 0.6]", True),
        ("mean 0.500", "mean 0.502", False),
        ("mean 0.500", "mean 0.50", False),
        ("104 ms", "105 ms", True),
        ("104 rounds", "105 rounds", False),
        ("a", "a\nb", False),
        ("a", "b", False),
    ],
)
def test_texts_are_the_same_but_for_the_last_digit(mine: str, theirs: str, same: bool) -> None:
    assert (text_difference(mine, theirs) is None) == same


def test_documents_of_other_forms_differ() -> None:
    assert document_difference({"a": 1}, {"a": 1, "b": 2}) is not None
    assert document_difference([1, 2], [1]) == "it is [1, 2], and the timings give [1]"
    assert document_difference({"a": {"b": None}}, {"a": {"b": 1.5}}) == "a.b is None, and the timings give 1.5"


def test_the_bill_of_materials_is_valid_and_names_what_was_recorded(bundle: Path, campaign: Path) -> None:
    text = files_of(bundle)["sbom.cdx.json"].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    stored = open_campaign(campaign)
    found = materials(stored.record, stored.trials())
    assert missing_from(text, found) is None
    named = {(one.kind, one.name) for one in found}
    assert {("platform", "python"), ("operating-system", "linux"), ("machine-learning-model", "null"), ("data", "numbers")} <= named
    document = json.loads(text)
    assert document["metadata"]["timestamp"].startswith("2026-03-01T12:30")
    assert len(document["components"]) == len(found)
    assert "it lacks platform python" in str(missing_from(text.replace('"python"', '"snake"'), found))
    assert missing_from("{", found) == "it is no bill of materials of this program"
