"""``action.yml``: its steps run as GitHub runs them, with the variables it gives, and post the comparison as a job summary."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from program import NULL, orchestrator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
CAMPAIGN = shlex.join(
    [
        *(*NULL, "model=echo", "model.sleep_ms=0"),
        *("system=cpu_1core", "cluster=inline", "measurement.rule=rounds", "measurement.min_rounds=3", "measurement.max_rounds=3"),
    ]
)
EXPRESSION = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")


class Job(NamedTuple):
    code: int
    told: str
    summary: str
    outputs: dict[str, str]


def variables(step: dict[str, Any], inputs: dict[str, str]) -> dict[str, str]:
    """The variables of a step, with inputs put in as GitHub does."""
    values = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()} | inputs
    assert set(inputs) <= set(ACTION["inputs"])
    return {name: EXPRESSION.sub(lambda match: values[match[1]], text) for name, text in step.get("env", {}).items()}


def job(folder: Path, name: str = "Measure and compare", packages: Path = ROOT, **inputs: str) -> Job:
    """Run a step as it is written, by bash without the options that GitHub gives it: a step sets its own."""
    files = {name: folder / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for path in files.values():
        path.write_text("")
    given = {"python": sys.executable} | {key.replace("_", "-"): value for key, value in inputs.items()}
    script = folder / "step.sh"
    script.write_text(STEPS[name]["run"])
    environment = {
        **os.environ,
        "PYTHONPATH": str(packages),
        "GITHUB_ACTION_PATH": str(ROOT),
        **variables(STEPS[name], given),
        **{key: str(path) for key, path in files.items()},
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", str(script)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return Job(done.returncode, done.stdout + done.stderr, files["GITHUB_STEP_SUMMARY"].read_text(), outputs)


def test_the_action_is_composite_and_every_input_and_output_is_explained() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for part in ("inputs", "outputs"):
        assert all(one["description"].endswith(".") for one in ACTION[part].values())
    written = set(re.findall(r'echo "([\w-]+)=\$', STEPS["Measure and compare"]["run"]))
    assert {f"${{{{ steps.compare.outputs.{name} }}}}" for name in written} == {one["value"] for one in ACTION["outputs"].values()}
    told = (ROOT / "docs" / "compare.md").read_text("utf-8")
    assert all(f"`{name}`" in told for name in (*ACTION["inputs"], *ACTION["outputs"]))


def test_shellcheck_has_nothing_to_say(tmp_path: Path) -> None:
    for number, step in enumerate(STEPS.values()):
        script = tmp_path / f"{number}.sh"
        script.write_text("#!/usr/bin/env bash\nset -eo pipefail\n" + step["run"])
        done = subprocess.run([Path(sys.executable).parent / "shellcheck", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")


def test_both_sides_are_measured_in_pairs_and_what_is_worse_fails_the_job_and_is_posted(tmp_path: Path) -> None:
    done = job(tmp_path, before="model.wrong=[3]", after="model.wrong=[3,4,5,6,7,8,9]", campaign=CAMPAIGN, repeats="3")
    assert (done.code, done.outputs["verdict"], done.outputs["exit-code"]) == (1, "fail", "1"), done.told
    assert "\n**Fail: 1 worse" in done.summary
    assert "## Candidate against baseline" in done.summary
    assert "::error title=Tail quality gate::fail (exit code 1)" in done.told
    assert done.summary == (tmp_path / done.outputs["markdown"]).read_text("utf-8")
    assert (tmp_path / done.outputs["html"]).is_file()


def test_a_baseline_takes_three_campaigns(tmp_path: Path) -> None:
    def measured(name: str) -> None:
        in_this_process(tmp_path, *shlex.split(CAMPAIGN), f"results_dir={name}", "--quiet")

    measured("one")
    in_this_process(tmp_path, "export", "baseline", "base.json", "one")
    refused = job(tmp_path, baseline="base.json", campaign=CAMPAIGN, repeats="1")
    assert (refused.code, refused.outputs["verdict"]) == (2, "error")
    for name in ("two", "three"):
        measured(name)
        in_this_process(tmp_path, "export", "baseline", "--add", "base.json", name)
    done = job(tmp_path, baseline="base.json", campaign=CAMPAIGN, repeats="1", allow_no_verdict="true")
    assert done.code in (0, 1), done.told  # whatever this machine does, it is a verdict
    assert done.outputs["verdict"] == ("pass", "fail")[done.code]
    assert re.search(r"\*\*(Pass|Fail)", done.summary)
    assert "Baseline: 3 campaigns" in done.summary


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first step installs, in a folder of its own; what that needs is in this environment."""
    folder = tmp_path_factory.mktemp("installed")
    done = job(folder, "Install", tests="test_speed.py", install=f"--no-deps --no-compile --target '{folder}/packages' GITHUB_ACTION_PATH")
    assert done.code == 0, done.told
    return folder / "packages"


@pytest.mark.parametrize(
    ("rounds", "inputs", "code", "verdict"),
    [
        (2, {}, 1, "fail"),  # what too few rounds show is no verdict
        (2, {"allow_no_verdict": "true", "baseline": "before"}, 0, "pass"),
        (2, {"tests": "test_speed.py -k nothing"}, 2, "error"),
        (0, {}, 2, "error"),
        (2, {"before": "a"}, 2, "error"),
    ],
)
def test_a_repository_needs_a_file_of_tests_alone(
    tmp_path: Path, packages: Path, rounds: int, inputs: dict[str, str], code: int, verdict: str
) -> None:
    called = f"tail_quality(abs, [1, 2], [1, 2], deadline='60 s', rounds={rounds})" if rounds else "pass"
    (tmp_path / "test_speed.py").write_text(f"def test_abs(tail_quality):\n    {called}\n")
    done = job(tmp_path, packages=packages, **{"tests": "test_speed.py", **inputs})
    assert (done.code, done.outputs["exit-code"], done.outputs["verdict"]) == (code, str(code), verdict), done.told
    assert ("test_abs" in done.summary) == (code < 2)
    assert len(list((tmp_path / "tail-quality-results" / "tests").glob("*/*/campaign.json"))) == (code < 2)


def in_this_process(folder: Path, *words: str) -> None:
    done = orchestrator(*words, cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"before": "a", "after": "b", "baseline": "c"},
        {"baseline": "none.json", "campaign": "+sweep=x"},
        {"baseline": "none.json\n::add-mask::a%", "campaign": "+sweep=x"},
        {"before": "a", "after": "b", "results": "r\nverdict=pass"},
    ],
)
def test_mistakes_are_annotations(tmp_path: Path, inputs: dict[str, str]) -> None:
    """One each, whatever an input holds: a line of it is no command of its own."""
    done = job(tmp_path, **inputs)
    assert (done.code, done.outputs["verdict"], done.outputs["exit-code"]) == (2, "error", "2")
    (command,) = [line for line in done.told.splitlines() if line.startswith("::")]
    assert command.startswith("::error title=Tail quality gate::")
