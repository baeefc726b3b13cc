from pathlib import Path

import pytest

from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import parse_campaign, parse_trial
from orchestrator.subject.inspection import options_here
from orchestrator.subject.targets import resolve

pytestmark = pytest.mark.slow

GROUPS = ("model", "task", "system", "runtime", "measurement", "load", "server", "analysis", "cluster")
FILES = sorted(path for group in GROUPS for path in (shipped_folder() / group).glob("*.yaml"))
NEEDS = {
    "cluster=address": ["cluster.address=10.0.0.1:6379"],
    **{f"load={law}": ["load.rate_per_s=40"] for law in ("periodic", "poisson", "gamma")},
    "load=trace": ["load.file=arrivals.csv"],
    "server=url": ["server.name=url", "server.url=http://127.0.0.1:1", "runtime=openai"],
    **{f"server={name}": ["runtime=open_inference"] for name in ("kserve", "mlserver", "triton")},
    **{f"server={name}": ["runtime=http_json"] for name in ("bentoml", "litserve", "ray_serve")},
    **{f"server={name}": ["runtime=openai"] for name in ("transformers", "vllm", "xllamacpp")},
    **{
        f"runtime={name}": ["server=url", "server.name=a", "server.url=http://127.0.0.1:1"]
        for name in ("open_inference", "openai", "http_json")
    },
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_file_composes_and_its_target_resolves(path: Path) -> None:
    choice = f"{path.parent.name}={path.stem}"
    overrides = ["model=efficientnet_lite0", "task=imagenet_samples", choice, *NEEDS.get(choice, [])]
    (document,) = compose_trials(overrides).documents
    trial = parse_trial(document)
    parse_campaign(document)
    block = getattr(trial, path.parent.name, None)
    assert getattr(block, "name", path.stem) == path.stem
    model_options, task_options = options_here(trial)
    resolve("model", trial.model.target, model_options)
    resolve("task", trial.task.target, task_options)
