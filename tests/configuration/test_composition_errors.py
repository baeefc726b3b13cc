from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.configuration.composition import compose_trials
from orchestrator.contracts import InputError

Write = Callable[[str, str], Path]


def complaint(folder: Path, *overrides: str, multirun: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        compose_trials(overrides, multirun, [folder])
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=alhpa", "model=alhpa: no such model; did you mean alpha?"),
        ("model=zzz", "model=zzz: no such model; there is alpha, beta, "),
        ("runtime=onnx_runtime", "runtime=onnx_runtime: no such runtime; did you mean onnxruntime?"),
        ("+sweep=visoin", "sweep=visoin: no such sweep; did you mean vision?"),
        ("modle=alpha", "modle: no such key; did you mean model?"),
        ("foo.bar=1", "foo.bar: no such key; there is analysis, "),
        ("measurement.bacth=1", "measurement.bacth: no such key; did you mean measurement.batch?"),
        ("task.limt=1", "task.limt: no such key; did you mean task.limit?"),
        ("task.cuont=1", "task.cuont: no such key; did you mean task.count?"),
        (
            "model.foo=1",
            "model.foo: no such key; there is classes, kind, name, nested, parameters, path, runtimes, same_as, several_gpus, target",
        ),
        ("+model.foo=1", "model.foo: no such key; there is classes, "),
        ("++model.paht=1", "model.paht: no such key; did you mean model.path?"),
        ("model.nested={a: 1}", "model.nested.a: no such key; there are none"),
        ("hydra.run.dir=x", "hydra.run.dir: no such key; "),
        ("hydra/launcher=x", "hydra/launcher: no such key; "),
        ("model=[alpha", "model=[alpha: cannot be read"),
        ("results_dir=/a=b", "results_dir=/a=b: cannot be read"),
        ("model", "model: cannot be read (missing EQUAL at '<EOF>'); write KEY=VALUE"),
        ("model=null", "model=null: must be the name of one YAML in conf/model"),
        ("model=1", "model=1: must be the name of one YAML in conf/model"),
        ("model=[alpha,beta]", "model=[alpha,beta]: must be the name of one YAML in conf/model"),
        ("~model", "~model: only KEY=VALUE is understood"),
        ("model@other=alpha", "model@other=alpha: only KEY=VALUE is understood"),
        ("sweep.axes.model=alpha", "sweep.axes.model: no such key"),
        ("cluster=address", "cluster.address: has no value yet; add cluster.address=VALUE"),
        ("measurement.batch=${measurement.nope}", "measurement.batch: Interpolation key 'measurement.nope' not found"),
        ("measurement.batch=${oc.env:}", "measurement.batch: KeyError raised while resolving interpolation"),
        ("measurement.batch=${foo:bar}", "measurement.batch: Unsupported interpolation type foo; write ${oc.env:NAME} for a variable of"),
        ("measurement.batch=${oc.env:NO_SUCH_VARIABLE}", "measurement.batch: KeyError raised while resolving interpolation"),
        ("measurement.batch=${nope:1}", "measurement.batch: Unsupported interpolation type nope"),
        ("model=alpha,beta", "model=alpha,beta: several values make several trials; add -m"),
    ],
)
def test_a_mistake_on_the_command_line_is_in_one_line(own_conf: Path, override: str, message: str) -> None:
    assert complaint(own_conf, "model=alpha", "task=first", override).startswith(message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("cluster=local,inline", "cluster: all trials of a campaign share it"),
        ("cluster.address=a,b", "cluster.address: all trials of a campaign share it"),
        ("analysis.seed=1,2", "analysis.seed: all trials of a campaign share it"),
        ("results_dir=a,b", "results_dir: all trials of a campaign share it"),
        ("code=[a],[b]", "code: all trials of a campaign share it"),
        ("sweep=vision,other", "sweep=vision,other: one sweep file at a time"),
        ("measurement.batch=range(1,1)", "measurement.batch: the axis is empty"),
        ("measurement.batch=interval(1,2)", "measurement.batch=interval(1,2): an interval has no list of values"),
        ("model=glob(z*)", "model: the axis is empty"),
    ],
)
def test_an_axis_that_cannot_be_is_refused(own_conf: Path, override: str, message: str) -> None:
    if override.startswith("sweep"):
        (own_conf / "sweep").mkdir()
        (own_conf / "sweep/other.yaml").write_text("axes: {model: alpha}\n")
    assert complaint(own_conf, "model=alpha", "task=first", override, multirun=True).startswith(message)


@pytest.mark.parametrize(
    ("words", "trials"),
    [
        (["task.count=range(0,1001)"], "1,001"),
        (["task.count=range(0,20)", "measurement.repeat=1000"], "20,000"),
        (["task.count=range(0,20)", "measurement.repeat=1,51"], "1,040"),
        (["task.count=range(0,2)", "measurement=often"], "1,200"),
        (["task.count=range(0,2)", "measurement=often", "measurement.repeat=${task.count}", "task.count=600,601"], "1,201"),
    ],
)
def test_more_than_1000_trials_repeats_included_are_asked_for(own_conf: Path, write: Write, words: list[str], trials: str) -> None:
    write("measurement/often", "repeat: 600.0\n")
    words = ["model=alpha", "task=first", *words]
    told = f"this makes {trials} trials, repeats included: narrow the axes, or add --many if so many are meant"
    assert complaint(own_conf, *words, multirun=True) == told
    if trials != "1,001":
        assert compose_trials(words, True, [own_conf], many=True).documents


def test_a_thousand_trials_are_not_too_many(own_conf: Path) -> None:
    words = ["model=alpha", "task=first", "task.count=1,2", "measurement.repeat=500"]
    assert len(compose_trials(words, True, [own_conf]).documents) == 2


def test_no_model_and_no_task_are_said_so(own_conf: Path) -> None:
    assert complaint(own_conf, "task=first").startswith("no model was chosen: add model=NAME; there is alpha, beta, ")
    without_task = complaint(own_conf, "model=alpha")
    assert without_task.startswith("no task was chosen: add task=NAME; there is ")
    assert {"first", "imagenet_samples"} <= set(without_task.rpartition(" there is ")[2].split(", "))
    assert complaint(own_conf, "task=first", "model.path=1") == "no model was chosen: add model=NAME to the command line"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\n  kind: [x\n", "line 2: not valid YAML: mapping values are not allowed here"),
        ("name: x\nname: y\n", "line 2: not valid YAML: found duplicate key name"),
        ("defaults: [nope]\n", "In 'model/broken': Could not load 'model/nope'."),
        ("name: ???\n", "model.name: has no value yet; add model.name=VALUE"),
        ("name: ${nope.x}\n", "model.name: Interpolation key 'nope.x' not found"),
    ],
)
def test_a_mistake_in_a_file_is_in_one_line(own_conf: Path, write: Write, text: str, message: str) -> None:
    write("model/broken", text)
    assert message in complaint(own_conf, "model=broken", "task=first")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("axis: {}\n", "sweep bad: axis: no such key; did you mean axes?"),
        ("just text\n", "sweep bad: just text: no such key"),
        ("axes: {modle: alpha}\n", "sweep bad: modle: no such key; did you mean model?"),
        ("axes: {model: }\n", "sweep bad: model=: must be the name of one YAML in conf/model"),
        ("axes: {measurement.batch: ''}\n", "measurement.batch: the axis is empty"),
        ("axes: {model: 'alpha,[beta'}\n", "sweep bad: model=alpha,[beta: cannot be read"),
        ("axes: {cluster: 'local,inline'}\n", "cluster: all trials of a campaign share it"),
        ("set: ['measurement.batch=1,2']\n", "sweep bad: measurement.batch=1,2: one value is wanted here"),
        (
            "axes: {model: 'alpha,beta', task: first}\npair: [[model, task]]\n",
            "axes that move together need equally many values",
        ),
        ("axes: {model: alpha}\nexclude: [{task: first}]\n", "task: pair and exclude name it, but it is no axis"),
    ],
)
def test_a_mistake_in_a_sweep_file_is_in_one_line(own_conf: Path, write: Write, text: str, message: str) -> None:
    write("sweep/bad", text)
    assert complaint(own_conf, "+sweep=bad").startswith(message)


def test_trials_that_disagree_on_what_they_share_are_refused(own_conf: Path, write: Write) -> None:
    write("analysis/by_model", "seed: ${measurement.batch}\n")
    message = complaint(own_conf, "model=alpha", "task=first", "analysis=by_model", "measurement.batch=1,2", multirun=True)
    assert message == "analysis: all trials of a campaign share it, but here they disagree; give it one value"


@pytest.mark.parametrize(("content", "told"), [(b"a: 1\nb: \xff\n", "save the file as UTF-8"), (b"a: 1\nb: \0\n", "#x0000")])
def test_bytes_that_are_no_yaml_are_told(own_conf: Path, content: bytes, told: str) -> None:
    (own_conf / "model" / "broken.yaml").write_bytes(content)
    assert told in complaint(own_conf, "model=broken", "task=first")


def test_one_name_for_two_files_is_refused(own_conf: Path, write: Write) -> None:
    path = write("system/cpu_all", "name: cpu_all\ncores: 1\n")
    message = complaint(own_conf, "model=alpha", "task=first")
    assert message.startswith(f"{path}: ")
    assert "has the same name and another content" in message


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert complaint(tmp_path / "nope", "model=alpha").startswith(f"--config-dir {tmp_path / 'nope'}: there is no such folder")


@pytest.mark.parametrize("name", ["it's", "a,b", "with space", "dollar$", "[x]"])
def test_hostile_names_of_folders_are_searched_all_the_same(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    (folder / "model").mkdir(parents=True)
    (folder / "model/mine.yaml").write_text("name: mine\n")
    (document,) = compose_trials(["model=mine", "task=imagenet_samples"], config_dirs=[folder]).documents
    assert document["model"] == {"name": "mine"}
