"""A mistake in overrides, files and sweeps is refused with its code and key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from refusals import refused

from orchestrator.configuration.composition import compose_trials
from orchestrator.contracts import Code

Write = Callable[[str, str], Path]
CHOSEN = ("model=alpha", "task=first")


MISTAKES = {
    "on the command line": [
        ("model=alhpa", "unknown", "model"),
        ("+sweep=visoin", "unknown", "sweep"),
        ("modle=alpha", "unknown", "modle"),
        ("measurement.bacth=1", "unknown", "measurement.bacth"),
        ("task.cuont=1", "unknown", "task.cuont"),
        ("++model.paht=1", "unknown", "model.paht"),
        ("model.nested={a: 1}", "unknown", "model.nested.a"),
        ("hydra/launcher=x", "unknown", "hydra/launcher"),
        ("model=[alpha", "invalid", ""),
        ("model", "invalid", ""),
        ("model=null", "invalid", "model"),
        ("model=[alpha,beta]", "invalid", "model"),
        ("~model", "invalid", "model"),
        ("model.path=[inf]", "invalid", "model.path.0"),
        ("cluster=address", "missing", "cluster.address"),
        ("measurement.batch=${measurement.nope}", "invalid", "measurement.batch"),
        ("measurement.batch=${oc.env:NO_SUCH_VARIABLE}", "invalid", "measurement.batch"),
        ("model=alpha,beta", "conflict", "model"),
    ],
    "of an axis": [
        ("cluster=local,inline", "conflict", "cluster"),
        ("analysis.seed=1,2", "conflict", "analysis.seed"),
        ("code=[a],[b]", "conflict", "code"),
        ("measurement.batch=range(1,1)", "missing", "measurement.batch"),
        ("measurement.batch=interval(1,2)", "invalid", "measurement.batch"),
        ("model=glob(z*)", "missing", "model"),
    ],
    "in a file": [
        ("name: x\n  kind: [x\n", "invalid", ""),
        ("name: x\nname: y\n", "invalid", ""),
        ("defaults: [nope]\n", "invalid", ""),
        ("name: ???\n", "missing", "model.name"),
        ("name: ${nope.x}\n", "invalid", "model.name"),
        ("tag: .inf\n", "invalid", "model.tag"),
        ("tag: {of: [1, -.inf]}\n", "invalid", "model.tag.of.1"),
    ],
    "in a sweep file": [
        ("axis: {}\n", "unknown", "axis"),
        ("axes: {modle: alpha}\n", "unknown", "modle"),
        ("axes: {measurement.batch: ''}\n", "missing", "measurement.batch"),
        ("axes: {model: 'alpha,[beta'}\n", "invalid", ""),
        ("axes: {cluster: 'local,inline'}\n", "conflict", "cluster"),
        ("set: ['measurement.batch=1,2']\n", "conflict", "measurement.batch"),
        ("axes: {model: 'alpha,beta', task: first}\npair: [[model, task]]\n", "conflict", ""),
        ("axes: {model: alpha}\nexclude: [{task: first}]\n", "unknown", "task"),
    ],
}


@pytest.mark.parametrize(("where", "text", "code", "key"), [(where, *row) for where, rows in MISTAKES.items() for row in rows])
def test_a_mistake_is_refused(own_conf: Path, write: Write, where: str, text: str, code: Code, key: str) -> None:
    write("model/broken", text)
    write("sweep/bad", text)
    words = {"in a file": ["model=broken", "task=first"], "in a sweep file": ["+sweep=bad"]}.get(where, [*CHOSEN, text])
    with refused(code, key):
        compose_trials(words, where == "of an axis", [own_conf])


@pytest.mark.parametrize(
    ("words", "code", "key"),
    [
        (["task=first"], "missing", "model"),
        (["model=alpha"], "missing", "task"),
        (["task=first", "model.path=1"], "missing", "model"),
        ([*CHOSEN, "analysis=by_model", "measurement.batch=1,2"], "conflict", "analysis"),
    ],
)
def test_trials_that_lack_a_model_or_task_or_disagree_on_what_they_share(
    own_conf: Path, write: Write, words: list[str], code: Code, key: str
) -> None:
    write("analysis/by_model", "seed: ${measurement.batch}\n")
    with refused(code, key):
        compose_trials(words, code == "conflict", [own_conf])


@pytest.mark.parametrize(
    ("words", "trials"),
    [
        (["task.count=range(0,1001)"], 1001),
        (["task.count=range(0,20)", "measurement.repeat=1,51"], 1040),
        (["task.count=range(0,2)", "measurement=often", "measurement.repeat=${task.count}", "task.count=600,601"], 1201),
    ],
)
def test_more_than_1000_trials_repeats_included_are_asked_for(own_conf: Path, write: Write, words: list[str], trials: int) -> None:
    write("measurement/often", "repeat: 600.0\n")
    with refused("too_large", "", trials):
        compose_trials([*CHOSEN, *words], True, [own_conf])


def test_a_thousand_trials_are_not_too_many(own_conf: Path) -> None:
    words = [*CHOSEN, "task.count=1,2", "measurement.repeat=500"]
    assert len(compose_trials(words, True, [own_conf]).documents) == 2


def test_one_name_for_two_files(own_conf: Path, write: Write) -> None:
    path = write("system/cpu_all", "name: cpu_all\ncores: 1\n")
    with refused("conflict", "", path):
        compose_trials(CHOSEN, config_dirs=[own_conf])


@pytest.mark.parametrize("name", ["it's", "a,b", "with space", "dollar$", "[x]"])
def test_hostile_names_of_folders_are_searched_all_the_same(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    (folder / "model").mkdir(parents=True)
    (folder / "model/mine.yaml").write_text("name: mine\n")
    (document,) = compose_trials(["model=mine", "task=imagenet_samples"], config_dirs=[folder]).documents
    assert document["model"] == {"name": "mine"}
