from importlib.metadata import entry_points
from pathlib import Path

import pytest

import tail_quality as tq
from tail_quality.pytest_plugin import against

pytest_plugins = ["pytester"]
INSTALLED = any(one.value == "tail_quality.pytest_plugin" for one in entry_points(group="pytest11"))
ARGUMENTS = (
    *(() if INSTALLED else ("-p", "tail_quality.pytest_plugin")),
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
    "--tb=short",
    "-rA",
)
CODE = """
import time

INPUTS = list(range(10))

def late(number):
    time.sleep(0.03)
    return number

def test_kept(tail_quality):
    result = tail_quality(abs, INPUTS, INPUTS, deadline="25 ms", at_least=0.5, rounds=40)
    assert result.quality("25 ms") > 0.5

def test_late(tail_quality):
    tail_quality(late, [1], [1], deadline="25 ms", at_least=0.5, rounds=40)

def test_short(tail_quality):
    tail_quality(abs, INPUTS, INPUTS, deadline="25 ms", at_least=0.5, rounds=2)

def test_mistaken(tail_quality):
    tail_quality(abs, INPUTS, INPUTS, deadline="25")
"""

LATE = """
import time

import pytest

def late(number):
    time.sleep(0.03)
    return number

def test_kept(tail_quality):
    for rounds in (2, 40):
        try:
            tail_quality(late, [1, 2], [1, 2], deadline="25 ms", at_least=0.001, rounds=rounds, name="abs", overrides=["measurement.pause=0"])
        except pytest.skip.Exception:
            pass
"""


@pytest.fixture(scope="module", autouse=True)
def imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import all that a session does: pytester forgets what is imported in its own, and modules in C cannot be imported twice."""
    folder = tmp_path_factory.mktemp("stored")
    measured = tq.measure(abs, [1], [1], deadline="25 ms", rounds=2, say=None)
    measured.verdict("25 ms", 0.5)
    measured.save(folder / "once")
    assert against(folder, measured)[1] is False


def test_a_session_passes_fails_and_skips_and_ends_with_a_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE)
    done = pytester.runpytest_inprocess(*ARGUMENTS)
    done.assert_outcomes(passed=1, failed=2, skipped=1)
    text = done.stdout.str()
    done.stdout.fnmatch_lines(["*test_kept: 40 rounds*", "*tail quality*", "test *quality*verdict*", "test_kept *met*"])
    assert "inconclusive: 38 more rounds" in text
    assert "not met" in text
    assert "Error" not in text  # a mistake is one line


def test_strictly_an_inconclusive_result_fails_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CODE)
    done = pytester.runpytest_inprocess(*ARGUMENTS, "--tail-quality-strict", "-k", "short or kept")
    done.assert_outcomes(passed=1, failed=1, deselected=2)


def test_a_session_is_compared_with_those_before(pytester: pytest.Pytester) -> None:
    stored = Path(pytester.path, "stored")
    folder = stored / "test_those_before.py_test_kept.2"

    def quick() -> tq.Result:
        return tq.measure(abs, [1, 2], [1, 2], deadline="25 ms", rounds=40, say=None, overrides=["measurement.pause=0"])

    for before in ("nothing stored", "in 1: no verdict", "in 2: no verdict"):
        told, is_worse = against(folder, result := quick())
        assert before in told
        assert not is_worse
        result.save(folder / before.replace(" ", "_"))
    assert not against(folder, quick())[1]
    # The same test of a function that has become late is shown worse, although it asks for little.
    pytester.makepyfile(test_those_before=LATE)
    options = ("--tail-quality-save=stored", "--tail-quality-compare=stored")
    done = pytester.runpytest_inprocess(*ARGUMENTS, *options)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*in 3: worse*"])
    assert len(list(folder.glob("*/campaign.json"))) == 4
