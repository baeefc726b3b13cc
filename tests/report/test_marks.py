from __future__ import annotations

from orchestrator.analysis.flags import FLAGS, flag_of
from orchestrator.analysis.units import FEW, ONE_STRETCH
from orchestrator.report.table import Marks
from orchestrator.running.trial_judge import OTHER_CATEGORIES, kernel_flags
from orchestrator.storage.records import SHARED


def test_each_flag_has_a_mark_of_its_own_and_is_explained() -> None:
    rows = [{"flags": [ONE_STRETCH, SHARED]}, {"flags": []}, {"flags": [ONE_STRETCH]}]
    marks = Marks(rows)
    assert [marks.of(row) for row in rows] == [" (a, b)", "", " (b)"]
    shared, stretch = marks.note().split(" (b) ")
    assert FLAGS[SHARED].meaning in shared
    assert "measurement.pause=1" in stretch


def test_a_flag_is_found_by_its_name_whatever_the_detail() -> None:
    told = [
        "3 incomplete rounds", "a later process answers 12 samples otherwise", "niceness -5 at first and 0 at the end",
        "a later process has another placement (cores, threads)", OTHER_CATEGORIES,
        "the thread that measures may use cores [0, 1] at first and [1] at the end",
        "scheduling policy SCHED_OTHER at first and SCHED_RR at the end", *kernel_flags(100, 120), *kernel_flags(100, 80),
    ]  # fmt: skip
    assert [flag for flag in told if flag_of(flag).name not in FLAGS] == []


def test_a_remedy_of_imported_trials_can_be_followed() -> None:
    imported, measured = {"flags": [FEW, "imported"]}, {"flags": [FEW]}
    assert "import a longer run" in Marks([imported, {"flags": []}]).note()
    assert "measurement.min_rounds" in Marks([imported, measured]).note()


def test_more_flags_than_letters() -> None:
    flags = [f"flag {chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(28)]
    assert Marks([{"flags": flags}]).of({"flags": [flags[25], flags[26], flags[27]]}) == " (aa, ab, z)"
