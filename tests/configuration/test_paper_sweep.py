from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.__main__ import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lines() -> list[str]:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(("plan", "+sweep=paper")) == 0
    return [line for line in out.getvalue().splitlines() if line.startswith(("planned: ", "infeasible: ", "left out: ")) and "-b" in line]


def test_the_paper_s_study_is_24_trials_one_line_each(lines: list[str]) -> None:
    assert len(lines) == 24
    systems = Counter(system for line in lines for system in ("geforce", "p100", "titan_v", "v100") if f"-{system}-" in line)
    assert systems == dict.fromkeys(("geforce", "p100", "titan_v", "v100"), 6)


def test_every_line_says_all_that_is_missing(lines: list[str]) -> None:
    for line in lines:
        if line.startswith("infeasible: "):
            assert "task.root" in line
            assert "system.labels.system=" in line or "system.device=cuda:0" in line


def test_stand_ins_are_called_substitutes_and_what_the_paper_lacked_is_said(lines: list[str]) -> None:
    assert sum("substitute: onnxruntime for the paper's TensorFlow" in line for line in lines) == 4
    assert sum("substitute: torch for the paper's TensorFlow" in line for line in lines) == 4
    vicuna = [line for line in lines if line.startswith("left out: vicuna_13b-mmlu-")]
    assert len(vicuna) == 4
    assert all("the paper itself had no Vicuna in TensorFlow" in line for line in vicuna)
