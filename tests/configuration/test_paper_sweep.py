"""The paper's cells, held to the table of docs/paper-lab.md, which names where each stands in the program of its authors."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import Trial, parse_trial

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "paper-lab.md"
COLUMNS = ("server", "system", "model", "task", "runtime", "batch", "split", "shots", "precision", "rounds", "source")


def cells() -> list[dict[str, str]]:
    """Return the rows of the page's table of cells."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    start = rows.index(list(COLUMNS))
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows[start:] if len(row) == len(COLUMNS) and re.fullmatch("[A-D]", row[0])]


def cell_of(trial: Trial) -> dict[str, str]:
    """Return what a composed trial says under the table's columns, but for server and source."""
    measurement, task = trial.measurement, trial.task
    assert measurement.min_rounds == measurement.max_rounds
    return {
        "system": trial.system.name,
        "model": trial.model.name,
        "task": task.name,
        "runtime": trial.runtime.name,
        "batch": str(measurement.batch),
        "split": str(task.options["split"]),
        "shots": str(task.options.get("shots", "")),
        "precision": trial.runtime.dtype,
        "rounds": str(measurement.max_rounds),
    }


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return [parse_trial(document) for document in compose_trials(["+sweep=paper"]).documents]


def in_order(rows: list[Mapping[str, str]]) -> list[list[tuple[str, str]]]:
    return sorted(sorted(row.items()) for row in rows)


def test_the_sweep_is_the_table_and_nothing_else(trials: list[Trial]) -> None:
    without = [{key: value for key, value in cell.items() if key not in ("server", "source")} for cell in cells()]
    assert in_order([cell_of(trial) for trial in trials]) == in_order(without)
    assert len(trials) == 19


def test_the_rule_of_their_program_has_in_each_cell_what_their_scripts_give_it(trials: list[Trial]) -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| ([\d.]+) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    table = {model: {"warm": int(warm), "fit_every": int(every), "threshold": float(bound)} for model, warm, every, bound in rows}
    assert [tuple(of.values()) for of in table.values()] == [(1, 1, 0.02), (1, 1, 0.02), (1, 2, 0.05), (2, 1, 0.02)]
    as_theirs = [parse_trial(document) for document in compose_trials(["+sweep=paper", "measurement.rule=paper"]).documents]
    assert len(as_theirs) == 19
    assert all(trial.measurement.rule_options == table[trial.model.name] for trial in as_theirs)
    assert {(trial.measurement.min_rounds, trial.measurement.max_rounds) for trial in as_theirs} == {(1, 100)}
    assert all(trial.measurement.rule_options == {} for trial in trials)
    [own] = compose_trials(
        ["+sweep=paper", "measurement.rule=paper", "model=vicuna_13b", "system=v100_all", "measurement.rule_options.warm=3"]
    ).documents
    assert parse_trial(own).measurement.rule_options == {"warm": 3, "fit_every": 1, "threshold": 0.02}
