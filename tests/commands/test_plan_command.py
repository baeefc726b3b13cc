from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from stored_trials import store

Call = Callable[..., tuple[int, str, str]]


def trial_ids(out: str) -> list[str]:
    return re.findall(r"[\w]+-numbers-[\w-]+-r\d+", out.split("infeasible:")[0])


def test_a_plan_lists_every_trial_and_writes_nothing(call: Call, null_words: list[str], tmp_path: Path) -> None:
    code, out, err = call("plan", *null_words, "runtime=torch,onnxruntime", "-m", "system=cpu_1core,cpu_all")
    assert (code, err) == (0, "")
    ids = trial_ids(out)
    assert [re.sub("-[0-9a-f]{8}-", "-", each) for each in ids] == [
        "echo-numbers-cpu_1core-torch-b1-r0",
        "echo-numbers-cpu_all-torch-b1-r0",
        "echo-numbers-cpu_1core-onnxruntime-b1-r0",
        "echo-numbers-cpu_all-onnxruntime-b1-r0",
    ]
    assert "4 trials, 0 infeasible; time: unknown until each has run a round: " in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["measurement.rule=rounds", "measurement.min_rounds=40", "measurement.max_rounds=100"], "rounds 100,"),
        (["measurement.rule=rounds", "measurement.min_rounds=40", "measurement.max_rounds=100", "measurement.max_seconds=9"],
         "rounds 40 to 100 as time allows,"),
        (["measurement.rule=settled", "measurement.min_rounds=40", "measurement.max_rounds=100"], "rounds 40 to 100, rule settled,"),
    ],
)  # fmt: skip
def test_how_many_rounds_a_trial_takes_is_one_number_where_no_rule_decides(
    call: Call, null_words: list[str], words: list[str], said: str
) -> None:
    code, out, _ = call("plan", *null_words, *words, "-m", "system=cpu_1core,cpu_all")
    assert code == 0
    assert said in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["system=cpu_1core"], ["A cycle has 4 rounds."]),
        (["system=cpu_1core", "measurement.pause=7"], ["A cycle has 16 rounds.", "up to 20 rounds", "up to 40 "]),
        (["-m", "system=cpu_1core,cpu_all", "measurement.visit_rounds=3", "measurement.repeat=2"], ["A cycle has 12 rounds."]),
        (["system=cpu_1core", "measurement.schedule=sequential"], ["One stretch says nothing about later rounds"]),
        (["system=cpu_1core", "measurement.pause=0"], ["One stretch says nothing about later rounds"]),
    ],
)
def test_a_plan_says_how_long_slow_spells_may_be(call: Call, null_words: list[str], words: list[str], said: list[str]) -> None:
    code, out, _ = call("plan", *null_words, *words)
    assert code == 0
    assert all(part in " ".join(out.split()) for part in said), out


def test_infeasible_trials_are_listed_with_exit_code_0(call: Call, null_words: list[str]) -> None:
    code, out, _ = call("plan", *null_words, "-m", "system.cores=1,[4000]")
    assert code == 0
    assert "2 trials, 1 infeasible" in out
    (line,) = [line for line in out.splitlines() if line.startswith("infeasible: ")]
    assert "system.cores=[4000]: core 4000; this machine allows " in line


def test_of_a_sweep_what_is_missing_makes_trials_infeasible_with_everything_they_lack(call: Call, null_words: list[str]) -> None:
    code, out, _ = call("plan", *null_words, "-m", "task.count=20,0", "runtime.packages=[no_such_module]")
    assert code == 0
    assert "2 trials, 2 infeasible" in out
    first, second = [line for line in out.splitlines() if line.startswith("infeasible: ")]
    assert first.startswith("infeasible: all trials: runtime=torch needs the package no_such_module, which is not installed")
    assert re.fullmatch(r"infeasible: echo-numbers-\S+-r0: task\.count=0: must be at least 1", second)


def test_of_a_single_trial_what_is_missing_is_told_at_once(call: Call, null_words: list[str]) -> None:
    code, out, err = call("plan", *null_words, "task.count=0")
    assert (code, out) == (2, "")
    assert err == "error: task.count=0: must be at least 1\n"


def test_notes_of_a_sweep_stand_beside_its_trials_also_those_left_out(call: Call, null_words: list[str], tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    sweep = {
        "axes": {"runtime": "torch,onnxruntime", "system": "cpu_1core,cpu_all"},
        "set": ["model.runtimes=[torch]"],
        "notes": [
            {"when": {"runtime": "onnxruntime"}, "say": "the paper had none"},
            {"when": {"system": "cpu_all", "runtime": "torch"}, "say": "substitute"},
        ],
    }
    (tmp_path / "sweep" / "noted.yaml").write_text(yaml.safe_dump(sweep))
    code, out, _ = call("plan", *null_words, "--config-dir", str(tmp_path), "+sweep=noted")
    assert code == 0
    said = re.sub("-[0-9a-f]{8}-r0", "", " ".join(out.split()))
    assert "note: cpu_all: substitute" in said
    why = "model echo offers the runtimes torch, not onnxruntime; the paper had none"
    for system in ("cpu_1core", "cpu_all"):
        assert f"left out: echo-numbers-{system}-onnxruntime-b1: {why}" in said


def test_pairs_that_do_not_fit_are_listed(call: Call, null_words: list[str]) -> None:
    code, out, _ = call("plan", *null_words, "-m", "runtime=torch,onnxruntime", "model.runtimes=[torch]")
    assert code == 0
    assert "left out: echo x onnxruntime: model echo offers the runtimes torch, not onnxruntime" in out
    assert "1 trial, 0 infeasible" in out


def test_repeats_are_trials(call: Call, null_words: list[str]) -> None:
    _, out, _ = call("plan", *null_words, "measurement.repeat=3")
    ids = trial_ids(out)
    assert [each[-3:] for each in ids] == ["-r0", "-r1", "-r2"]
    assert len({each[:-3] for each in ids}) == 1


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_reference_is_refused_before_anything_is_measured(call: Call, null_words: list[str], tmp_path: Path, verb: str) -> None:
    (trial,) = trial_ids(call("plan", *null_words)[1])
    code, out, err = call(verb, *null_words, "analysis.reference=nope")
    assert (code, out, err) == (2, "", f"error: analysis.reference=nope: no such trial; there is {trial}\n")
    code, out, err = call(verb, *null_words, "system.cores=[4000]", f"analysis.reference={trial}")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: analysis.reference={trial}: no such trial; ")
    cannot_run = err.split("did you mean ")[1].strip().rstrip("?")
    code, out, err = call(verb, *null_words, "system.cores=[4000]", f"analysis.reference={cannot_run}", "--skip-infeasible")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: analysis.reference={cannot_run}: this trial cannot run here: system.cores=[4000]: core 4000; ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_slice_that_no_sample_has_is_refused_before_anything_is_measured(
    call: Call, null_words: list[str], verb: str, tmp_path: Path
) -> None:
    code, out, err = call(verb, *null_words, "analysis.slices=[parity,nope]")
    assert (code, out, err) == (2, "", "error: analysis.slices=nope: no sample has this slice; there is parity, size\n")
    assert list(tmp_path.iterdir()) == []
    assert call("plan", *null_words, "analysis.slices=[parity]")[0] == 0


@pytest.mark.parametrize("ending", ["-r1", ""])
def test_a_reference_is_a_trial_or_all_of_its_repeats(call: Call, null_words: list[str], ending: str) -> None:
    first, second = trial_ids(call("plan", *null_words, "measurement.repeat=2")[1])
    assert first.removesuffix("-r0") == second.removesuffix("-r1")
    code, _, err = call("plan", *null_words, "measurement.repeat=2", f"analysis.reference={first.removesuffix('-r0')}{ending}")
    assert (code, err) == (0, "")


def test_what_was_measured_before_gives_an_estimate(call: Call, null_words: list[str], tmp_path: Path) -> None:
    (first,) = trial_ids(call("plan", *null_words)[1])
    store(tmp_path / "results" / "single" / "2026-01-01T00-00-00Z", first, 90)
    _, out, _ = call("plan", *null_words)
    assert "about 1 min 30 s" in out


def test_cfg_job_prints_every_trial_as_a_yaml_document(call: Call, null_words: list[str]) -> None:
    code, out, err = call("--cfg", "job", *null_words, "-m", "measurement.batch=1,2")
    assert (code, err) == (0, "")
    documents = list(yaml.safe_load_all(out))
    assert [document["measurement"]["batch"] for document in documents] == [1, 2]
    assert all(document["task"]["count"] == 20 for document in documents)


def test_info_lists_the_choices_of_every_group(call: Call, null_words: list[str]) -> None:
    code, out, _ = call("--info", *null_words[:2])
    assert code == 0
    groups = dict(line.split(":", 1) for line in out.splitlines())
    assert "echo" in groups["model"]
    assert "imagenet_samples" in groups["task"]
    assert "vision" in groups["sweep"]


def test_the_version_is_one_line(call: Call) -> None:
    code, out, err = call("--version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"tail-quality \S+\n", out)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_the_verbs(call: Call, words: list[str]) -> None:
    code, out, err = call(*words)
    assert (code, err) == (0, "")
    assert all(verb in out for verb in ("plan", "report", "+sweep=vision"))


def test_a_plan_that_cannot_show_a_requirement_ends_as_an_assessment_does(call: Call, null_words: list[str], tmp_path: Path) -> None:
    needs = {"confidence": 0.95, "requirements": [{"id": "R", "text": "t", "source": "s", "latency": {"percentile": 50, "within": "60 s"}}]}
    file = tmp_path / "needs.yaml"
    for model, code in (("echo", 0), ("another", 3)):
        needs["requirements"][0]["trials"] = {"model": model}  # type: ignore[index]
        file.write_text(yaml.safe_dump(needs))
        found = call("plan", *null_words, "measurement.min_rounds=400", "measurement.max_rounds=400", "--requirements", str(file))
        assert (found[0], "R cannot be shown" in found[1]) == (code, code == 3), found
