"""Every mistake that is knowable before anything runs: one line on stderr, exit code 2, nothing on stdout, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., tuple[int, str, str]]


def refused(call: Call, *words: str) -> str:
    code, out, err = call(*words)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert not Path("results").exists()
    return err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model=resnt18", "model=resnt18: no such model; did you mean resnet18?"),
        ("measurement.bacth=2", "measurement.bacth: no such key; did you mean measurement.batch?"),
        ("model.sleep=2", "model.sleep: no such key; did you mean model.sleep_ms?"),
        ("measurement.batch=many", "measurement.batch=many: input should be a valid integer"),
        ("measurement.min_rounds=0", "measurement.min_rounds=0: input should be greater than 0"),
        ("system.device=gpu", "system.device=gpu: "),
        ("system.cores=[-1]", "system.cores"),
        ("hydra.run.dir=elsewhere", "hydra.run.dir: "),
        ("task.limit=-1", "task.limit=-1: "),
        ("task.count=0", "task.count=0: must be at least 1"),
        ("task.count=x", "task numbers (null_targets:Numbers): raised TypeError"),
        ("model.sleep_ms=-1", "model.sleep_ms=-1: must not be negative"),
        ("model.target=null_targets:Nope", "model.target=null_targets:Nope: module null_targets has no Nope"),
        ("model.target=no.such.module:Nope", "model.target=no.such.module:Nope: there is no module no;"),
        ("model.kind=sounds", "nothing is left to run: model echo is of kind sounds"),
        ("code=[nowhere]", "code=nowhere: there is no such folder"),
        ("cluster=address", "cluster.address: has no value yet"),
        ("model=echo,resnet18", "model=echo,resnet18: several values make several trials; add -m"),
    ],
)
def test_mistakes_in_a_configuration(call: Call, null_words: list[str], word: str, message: str) -> None:
    assert refused(call, *null_words, word).startswith(message)


def test_a_group_that_never_comes_whole(call: Call, null_words: list[str]) -> None:
    load = ["load=periodic", "load.rate_per_s=40", "load.stream_s=3", "load.group=200"]
    assert "load.group=200: a stream has 120 arrivals" in refused(call, *null_words, *load)
    search = ["load=periodic", "task.count=5", "--deadline", "50 ms"]  # the ramp's one arrival, and two rounds
    told = "load.group=12: a stream of the slowest rates has 11 arrivals, so that 12 never come at once; lower it, or raise task.limit"
    assert refused(call, "capacity", *null_words, *search, "load.group=12").startswith(told)


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_verb_before_it_changes_nothing(call: Call, null_words: list[str], verb: str) -> None:
    assert refused(call, verb, *null_words, "task.count=0") == refused(call, *null_words, "task.count=0")


def test_a_model_whose_classes_do_not_fit_the_task(call: Call, null_words: list[str]) -> None:
    told = refused(call, *null_words, "model.classes=10", "task.classes=20")
    assert told.startswith("model echo has classes=10 and task numbers classes=20, which must be equal")
    assert "; set task.classes=10 if the data has so many, or choose a model of 20 classes" in told
    told = refused(call, *null_words, "model.classes=10")
    assert told.startswith("model echo: classes=10 allows class indices 0 to 9, but labels lie in 0 to 19")


def test_an_impossible_core_list_stops_a_run_and_names_the_count(call: Call, null_words: list[str]) -> None:
    told = refused(call, *null_words, "-m", "system.cores=1,[4000]")
    assert told.startswith("1 of 2 trials cannot run here, first echo-numbers-cpu_all-torch-b1-")
    assert "core 4000; this machine allows" in told


IMAGENET = ["model=efficientnet_lite0", "task=imagenet", "task.class_count=1000"]


def test_a_missing_data_folder(call: Call) -> None:
    assert refused(call, *IMAGENET).startswith("task.root is not set")
    assert refused(call, *IMAGENET, "task.root=nowhere").startswith("task.root=nowhere is not a folder")


def test_a_label_file_with_a_bad_row(call: Call, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pictures"
    folder.mkdir()
    image.new("RGB", (8, 8)).save(folder / "a.jpg")
    (folder / "labels.csv").write_text("file,class_index\na.jpg,12x\n")
    told = refused(call, *IMAGENET, f"task.root={folder}")
    assert told.startswith(f"{folder}/labels.csv line 2: class_index='12x' is not a whole number")


def test_a_corrupt_picture(call: Call, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pictures"
    folder.mkdir()
    image.effect_noise((64, 64), 50).convert("RGB").save(folder / "a.jpg")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "labels.csv").write_text("file,class_index\na.jpg,12\n")
    assert refused(call, *IMAGENET, f"task.root={folder}").startswith(f"{folder}/a.jpg: not a whole picture")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pln", "+sweep=vision"], "pln: "),
        (["plan", "report"], "Invalid value for 'KEY=VALUE...': report is not of this form"),
        (["--cfg", "all"], "Invalid value for '--cfg': 'all' "),
        (["--quite", "+sweep=vision"], "--quite: there is no such option; did you mean --quiet?"),
        (["--config-dir"], "Option '--config-dir' requires an argument"),
        (["plan", "--config-dir", "nowhere", "+sweep=vision"], "--config-dir nowhere: there is no such folder"),
        (["report"], "report takes"),
        (["report", "nowhere"], "nowhere"),
        (["=", "model=x"], ": no such key"),
    ],
)
def test_mistakes_in_usage(call: Call, words: list[str], message: str) -> None:
    assert refused(call, *words).startswith(message)


def test_a_message_of_several_lines_is_told_in_one(call: Call) -> None:
    assert refused(call, "model=efficientnet_lite0", "task=imagenet", "task.root='a\nb'").startswith("task.root=a b is not a folder")
