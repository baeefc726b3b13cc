"""A token in an environment variable reaches the model, and never the results."""

import json
from pathlib import Path

import pytest
from program import ECHO, NULL, Call, rounds

from orchestrator.configuration.environment_values import known_by_digests, resolved_text

TOKEN = "hf_Xy7-not-to-be-stored"


@pytest.fixture
def token_words(tmp_path: Path) -> list[str]:
    folder = tmp_path / "own"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "secret.yaml").write_text(
        "name: secret\nkind: image_classification\ntarget: meddling_targets:SecretModel\nruntimes: [torch]\n"
        "token: ${oc.env:TQ_TEST_TOKEN}\nheader: {authorization: 'Bearer ${model.token}'}\nseen: null\nrefused: false\n"
    )
    return [*NULL, "--config-dir", str(folder), "model=secret", "system=cpu_all", *rounds(2), "model.seen=seen"]


def written(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_the_value_reaches_the_model_and_not_the_results(
    call: Call, token_words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TQ_TEST_TOKEN", TOKEN)
    shown = call(*token_words, "--cfg", "job")
    assert TOKEN not in shown.stdout
    assert "token: ${oc.env:TQ_TEST_TOKEN}" in shown.stdout
    answer = call(*token_words, "results_dir=r")
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "seen").read_text() == f"{TOKEN} Bearer {TOKEN}"
    assert TOKEN not in written(tmp_path / "r") + answer.stderr + answer.stdout
    (planned,) = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]
    record = json.loads((tmp_path / "r" / "trials" / planned["trial_id"] / "trial.json").read_text())
    assert record["facts"]["hub"] == [{"token": "${oc.env:TQ_TEST_TOKEN}", "${oc.env:TQ_TEST_TOKEN}": True}]
    assert planned["trial"]["model"]["options"] == {
        "token": "${oc.env:TQ_TEST_TOKEN}", "header": {"authorization": "Bearer ${oc.env:TQ_TEST_TOKEN}"}, "seen": "seen", "refused": False,
    }  # fmt: skip

    extended = call("extend", "r", "--rounds", "1")
    assert extended.returncode == 0, extended.stderr
    monkeypatch.setenv("TQ_TEST_TOKEN", "another")
    other = call("extend", "r", "--rounds", "1")
    assert (other.returncode, other.stderr.endswith("[incomparable]\n")) == (2, True)
    monkeypatch.delenv("TQ_TEST_TOKEN")
    missing = call("extend", "r", "--rounds", "1")
    assert (missing.returncode, missing.stderr.endswith("[missing]\n")) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("value", [TOKEN, f"{TOKEN}\nand-its-second-line\n"])
def test_a_message_that_repeats_the_value_is_stored_without_it(
    call: Call, token_words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    monkeypatch.setenv("TQ_TEST_TOKEN", value)
    answer = call(*token_words, "model.refused=true", "results_dir=r")
    assert answer.returncode == 1
    told = written(tmp_path / "r") + answer.stderr + answer.stdout
    assert not [line for line in value.splitlines() if line in told]
    (planned,) = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]
    assert "PermissionError: 401 for https://hub/?token=${oc.env:TQ_TEST_TOKEN} (meddling_targets.py, line " in planned["reason"]


@pytest.mark.parametrize("word", ["task.limit", "measurement.rule", "system.labels.x", "measurement.batch", "model", "load", "+sweep"])
@pytest.mark.parametrize("length", [1, 12])
def test_a_key_that_refuses_a_value_shows_its_expression(call: Call, monkeypatch: pytest.MonkeyPatch, word: str, length: int) -> None:
    value = TOKEN * length
    monkeypatch.setenv("TQ_TEST_TOKEN", value)
    answer = call(*ECHO, f"{word}=${{oc.env:TQ_TEST_TOKEN}}")
    assert answer.returncode == 2
    assert "${oc.env:TQ_TEST_TOKEN}" in answer.stderr
    assert TOKEN[:6] not in answer.stderr + answer.stdout


def test_identity_tells_values_apart_without_telling_them(monkeypatch: pytest.MonkeyPatch) -> None:
    known = []
    for value in ("one", "two"):
        monkeypatch.setenv("TQ_TEST_TOKEN", value)
        known.append(known_by_digests({"a": ["${oc.env:TQ_TEST_TOKEN}", 3], "b": "plain"}))
        assert value not in str(known[-1]).replace("${oc.env:TQ_TEST_TOKEN}", "")
    assert known[0] != known[1]
    assert known[0]["b"] == "plain"
    assert resolved_text("x${oc.env:TQ_TEST_TOKEN}y") == "xtwoy"
