from __future__ import annotations

from orchestrator.analysis.units import FEW, ONE_STRETCH
from orchestrator.report.table import REMEDIES, REMEDIES_OF_IMPORTED, Marks
from orchestrator.running.trial_judge import OTHER_CATEGORIES, kernel_flags
from orchestrator.storage.records import SHARED


def test_each_flag_has_a_mark_of_its_own_and_is_explained() -> None:
    rows = [{"flags": [ONE_STRETCH, "two"]}, {"flags": []}, {"flags": ["two"]}]
    marks = Marks(rows)
    assert [marks.of(row) for row in rows] == [" (a, b)", "", " (b)"]
    assert marks.note().startswith(" (a) one stretch: its interval is of this period and ")
    assert marks.note().endswith(" (b) two.")


def test_a_mark_that_asks_has_no_full_stop_behind_its_question() -> None:
    assert Marks([{"flags": [OTHER_CATEGORIES]}]).note().endswith("category ids?")


def test_a_remedy_is_told() -> None:
    assert "measurement.pause=1" in Marks([{"flags": [ONE_STRETCH]}]).note()
    assert "measurement.min_rounds=40" in Marks([{"flags": [FEW]}]).note()
    of_the_machine = {SHARED, *kernel_flags(100, 120), *kernel_flags(100, 80)}
    assert len(of_the_machine) == 3
    assert of_the_machine < REMEDIES.keys()


def test_a_remedy_of_imported_trials_can_be_followed() -> None:
    assert REMEDIES_OF_IMPORTED.keys() < REMEDIES.keys()
    imported, measured = {"flags": [FEW, "imported"]}, {"flags": [FEW]}
    assert "import a longer run" in Marks([imported, {"flags": []}]).note()
    assert "measurement.min_rounds" in Marks([imported, measured]).note()


def test_flags_said_elsewhere_have_no_mark() -> None:
    marks = Marks([{"flags": ["not certified"]}], without=["not certified"])
    assert (marks.of({"flags": ["not certified"]}), marks.note()) == ("", "")


def test_more_flags_than_letters() -> None:
    flags = [f"flag {number:02}" for number in range(28)]
    assert Marks([{"flags": flags}]).of({"flags": [flags[25], flags[26], flags[27]]}) == " (aa, ab, z)"
