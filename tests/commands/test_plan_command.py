import re
from pathlib import Path

import yaml
from program import ECHO, Call
from stored_trials import store


def trial_ids(out: str) -> list[str]:
    return re.findall(r"[\w]+-numbers-[\w-]+-r\d+", out.split("infeasible:")[0])


def test_a_plan_lists_every_trial_and_writes_nothing(call: Call, tmp_path: Path) -> None:
    code, out, err = call("plan", *ECHO, "runtime=torch,onnxruntime", "-m", "system=cpu_1core,cpu_all")
    assert (code, err) == (0, "")
    ids = trial_ids(out)
    assert [re.sub("-[0-9a-f]{8}-", "-", each) for each in ids] == [
        "echo-numbers-cpu_1core-torch-b1-r0",
        "echo-numbers-cpu_all-torch-b1-r0",
        "echo-numbers-cpu_1core-onnxruntime-b1-r0",
        "echo-numbers-cpu_all-onnxruntime-b1-r0",
    ]
    assert list(tmp_path.iterdir()) == []


def test_notes_of_a_sweep_stand_beside_its_trials_also_those_left_out(call: Call, tmp_path: Path) -> None:
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
    code, out, _ = call("plan", *ECHO, "--config-dir", str(tmp_path), "+sweep=noted")
    assert code == 0
    said = " ".join(out.split())
    assert "note: cpu_all: substitute" in said
    left_out = re.findall(r"left out: echo-numbers-(cpu_\w+)-onnxruntime-.*?; (the paper had none)", said)
    assert left_out == [("cpu_1core", "the paper had none"), ("cpu_all", "the paper had none")]


def test_what_was_measured_before_gives_an_estimate(call: Call, tmp_path: Path) -> None:
    (first,) = trial_ids(call("plan", *ECHO)[1])
    store(tmp_path / "results" / "single" / "2026-01-01T00-00-00Z", first, 90)
    _, out, _ = call("plan", *ECHO)
    assert "about 1 min 30 s" in out


def test_cfg_job_prints_every_trial_as_a_yaml_document(call: Call) -> None:
    code, out, err = call("--cfg", "job", *ECHO, "-m", "measurement.batch=1,2")
    assert (code, err) == (0, "")
    documents = list(yaml.safe_load_all(out))
    assert [document["measurement"]["batch"] for document in documents] == [1, 2]
    assert all(document["task"]["count"] == 20 for document in documents)


def test_a_plan_that_cannot_show_a_requirement_ends_as_an_assessment_does(call: Call, tmp_path: Path) -> None:
    needs = {"confidence": 0.95, "requirements": [{"id": "R", "text": "t", "source": "s", "latency": {"percentile": 50, "within": "60 s"}}]}
    file = tmp_path / "needs.yaml"
    for model, code in (("echo", 0), ("another", 3)):
        needs["requirements"][0]["trials"] = {"model": model}  # type: ignore[index]
        file.write_text(yaml.safe_dump(needs))
        found = call("plan", *ECHO, "measurement.min_rounds=400", "measurement.max_rounds=400", "--requirements", str(file))
        assert (found[0], "R cannot be shown" in found[1]) == (code, code == 3), found
