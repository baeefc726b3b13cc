"""Every shipped sweep is composed once, and its trials are what Hydra makes of each of them.

The paper's cells are held to the table of docs/paper-lab.md, which names where each stands in the program of its authors.
"""

import random
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml
from by_hydra import by_hydra

from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.composition import Composition, compose_trials
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.configuration.sweep import combinations, parse_sweep

pytestmark = pytest.mark.slow

SWEEPS = sorted((shipped_folder() / "sweep").rglob("*.yaml"))
PAGE = Path(__file__).parents[2] / "docs" / "paper-lab.md"
COLUMNS = ("server", "system", "model", "task", "runtime", "batch", "split", "shots", "precision", "rounds", "source")


@cache
def composed(sweep: str) -> Composition:
    return compose_trials([f"+sweep={sweep}"])


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_shipped_sweep_composes_to_what_hydra_makes_of_its_trials(path: Path) -> None:
    """Of each sweep its last trial and one other."""
    sweep = parse_sweep(yaml.safe_load(path.read_text()))
    rows, _ = combinations({key: tuple(text.split(",")) for key, text in sweep.axes.items()}, sweep.pair, sweep.exclude)
    documents = composed(path.stem).documents
    assert (composed(path.stem).name, len(documents)) == (path.stem, len(rows))
    for document in documents:
        parse_trial(document)
    for place in {random.Random(len(rows)).randrange(len(rows)), len(rows) - 1}:
        assert documents[place] == by_hydra([*sweep.settings, *(f"{key}={value}" for key, value in rows[place].items())])


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


def in_order(rows: list[Mapping[str, str]]) -> list[list[tuple[str, str]]]:
    return sorted(sorted(row.items()) for row in rows)


def test_the_papers_sweep_is_the_table_and_nothing_else() -> None:
    trials = [parse_trial(document) for document in composed("paper").documents]
    without = [{key: value for key, value in cell.items() if key not in ("server", "source")} for cell in cells()]
    assert in_order([cell_of(trial) for trial in trials]) == in_order(without)
    assert len(trials) == 19
    assert all(trial.measurement.rule_options == {} for trial in trials)


def test_the_rule_of_their_program_has_in_each_cell_what_their_scripts_give_it() -> None:
    """What they give it depends on the model alone: of each model the cells of one host."""
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| ([\d.]+) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    table = {model: {"warm": int(warm), "fit_every": int(every), "threshold": float(bound)} for model, warm, every, bound in rows}
    assert [tuple(of.values()) for of in table.values()] == [(1, 1, 0.02), (1, 1, 0.02), (1, 2, 0.05), (2, 1, 0.02)]
    rule = ["+sweep=paper", "measurement.rule=paper"]
    as_theirs = [parse_trial(document) for document in compose_trials([*rule, "system=geforce,v100_all"]).documents]
    assert {trial.model.name for trial in as_theirs} == table.keys()
    assert all(trial.measurement.rule_options == table[trial.model.name] for trial in as_theirs)
    assert {(trial.measurement.min_rounds, trial.measurement.max_rounds) for trial in as_theirs} == {(1, 100)}
    [own] = compose_trials([*rule, "model=vicuna_13b", "system=v100_all", "measurement.rule_options.warm=3"]).documents
    assert parse_trial(own).measurement.rule_options == {"warm": 3, "fit_every": 1, "threshold": 0.02}
