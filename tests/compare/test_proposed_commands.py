"""Every command that a comparison proposes is run as it stands, but for fewer pairs."""

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

import program
import pytest
from program import SUPPORT

from orchestrator.storage.reader import open_campaign
from orchestrator.storage.writer import CampaignWriter

pytestmark = pytest.mark.slow

WORDS = [
    "--config-dir", str(SUPPORT / "conf"), "task=numbers", "model=echo", "system=cpu_1core", "--quiet", "--skip-infeasible",
    *program.rounds(3), "measurement.lead_in=0",
]  # fmt: skip
CODE = f"code=[{SUPPORT / 'code'}]"
Run = Callable[..., program.Done]


def measured(run: Run, before: list[str], after: list[str]) -> None:
    for name, words in (("a", before), ("b", after)):
        done = run("run", *WORDS, *words, f"results_dir={name}")
        assert done.returncode == 0, done.stderr


def other_code(run: Run, folder: Path) -> list[str]:
    measured(run, ["code=[old]"], ["code=[new]", "model.sleep_ms=0.1"])
    return ["a", "b", "--gate"]


def unfinished(run: Run, folder: Path) -> list[str]:
    measured(run, [CODE], [CODE])
    with CampaignWriter.reopen(folder / "b") as writer:
        writer.set_state(writer.record.trials[0].trial_id, "interrupted", "stopped at once by the user")
    return ["a", "b", "--gate"]


@pytest.mark.parametrize("before", [other_code, unfinished])
def test_a_proposed_command_does_what_it_says(before: Callable[[Run, Path], list[str]], tmp_path: Path) -> None:
    run = partial(program.orchestrator, cwd=tmp_path)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "null_targets.py").write_text((SUPPORT / "code" / "null_targets.py").read_text() + f"# {name}\n")
    said = run("compare", *before(run, tmp_path)).stdout.splitlines()
    commands = [shlex.split(line, comments=True)[3:] for line in said if line.startswith("python -m orchestrator ")]
    (command,) = commands
    done = run(*command, *(["--pairs", "3", "--to", "again", "--quiet"] if "--run" in command else []))
    assert done.returncode in (0, 1, 3), done.stderr
    if before is unfinished:
        assert {planned.state for planned in open_campaign(tmp_path / "b").record.trials} == {"done"}
