import importlib
import sys

import pytest
from refusals import refused

from orchestrator import metrics
from orchestrator.metrics import METRICS, Answers, Judged, MeanMetric, WholeTaskMetric, find_metric
from orchestrator.metrics.accuracy import TopK

PLUGIN = '''
import numpy as np

class F1:
    """Micro F1 of one guess per sample: a late guess is no guess, so precision may rise when wrong guesses come late."""

    name = "f1"

    def judge(self, answers):
        return Guesses(np.array([p == r for p, r in zip(answers.predictions, answers.references)]))

class Guesses:
    def __init__(self, right):
        self.right = right

    def ideal(self):
        return float(self.right.mean())

    def curve(self, times, thresholds):
        on_time = np.asarray(times)[None] <= np.asarray(thresholds)[:, None, None]
        return 2 * (on_time & self.right).sum(axis=2) / (on_time.sum(axis=2) + self.right.size)

class Broken:
    def __init__(self):
        raise RuntimeError("no weights")
'''

ENTRY_POINTS = """[orchestrator.metrics]
f1 = {module}:F1
broken = {module}:Broken
absent = no_such_module_anywhere:Metric
top1 = {module}:F1
"""


def install(folder, module, entries=ENTRY_POINTS):
    """Lay out a package as an installer would."""
    (folder / f"{module}.py").write_text(PLUGIN)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries.format(module=module))


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    install(tmp_path, "plugin_with_metrics")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("plugin_with_metrics", None)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_of_the_table_is_found_under_its_own_name(name):
    found = find_metric(name)
    assert found.name == name
    assert isinstance(found, MeanMetric) != isinstance(found, WholeTaskMetric)


def test_metric_of_another_package_that_is_no_mean(plugin):
    found = find_metric("f1")
    assert isinstance(found, WholeTaskMetric)
    assert not isinstance(found, MeanMetric)
    judged = found.judge(Answers([1, 2, 3], [1, 2, 9]))
    assert isinstance(judged, Judged)
    assert judged.ideal() == pytest.approx(2 / 3)
    curve = judged.curve([[10, 20, 30]], [5, 25, 30])
    assert curve[:, 0] == pytest.approx([0, 4 / 5, 2 / 3])  # falls when the wrong answer comes in


def test_our_own_metric_cannot_be_replaced(plugin):
    assert isinstance(find_metric("top1"), TopK)


def test_a_metric_of_the_user_s_is_found_by_its_target_and_by_its_name(tmp_path, monkeypatch):
    text = PLUGIN.replace('"f1"', '"mine"')
    (tmp_path / "metrics_by_target.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    metrics.add_folders([tmp_path])
    try:
        assert [find_metric(name).name for name in ("metrics_by_target:F1", "mine")] == ["mine", "mine"]
        with refused("invalid", value="metrics_by_target:Broken"):
            find_metric("metrics_by_target:Broken")
    finally:
        metrics.forget_folders([tmp_path])
    for name in ("metrics_by_target:F1", "mine", "os:abort"):  # a stranger's campaign may name anything
        with pytest.raises(metrics.UnknownMetric):
            find_metric(name)


@pytest.mark.parametrize(("name", "code"), [("top-1", "unknown"), ("zzz", "unknown"), ("broken", "invalid"), ("absent", "invalid")])
def test_a_name_that_is_unknown_or_of_what_cannot_be_used_is_refused(plugin, name, code):
    with refused(code, value=name):
        find_metric(name)


def test_two_packages_that_offer_one_name(plugin):
    install(plugin, "rival_with_metrics", "[orchestrator.metrics]\nf1 = {module}:F1\n")
    importlib.invalidate_caches()
    with refused("conflict", value="f1"):
        find_metric("f1")
