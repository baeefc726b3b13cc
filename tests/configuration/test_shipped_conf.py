from collections.abc import Mapping
from itertools import zip_longest

import pytest

from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import parse_campaign, parse_trial
from orchestrator.subject.inspection import options_here
from orchestrator.subject.targets import resolve

pytestmark = pytest.mark.slow

TOGETHER = ("model", "task", "system", "measurement", "load", "analysis", "cluster")
"""Groups of which the first files are composed at once, then the second ones, and so on: none needs anything of another."""
ALONE = ("runtime", "server")
FILES = {group: sorted(path.stem for path in (shipped_folder() / group).glob("*.yaml")) for group in (*TOGETHER, *ALONE)}
ROWS = [
    *({group: name for group, name in zip(TOGETHER, row, strict=True) if name} for row in zip_longest(*(FILES[of] for of in TOGETHER))),
    *({group: name} for group in ALONE for name in FILES[group]),
]
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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: ",".join(row.values()))
def test_every_file_composes_and_its_target_resolves(row: Mapping[str, str]) -> None:
    chosen = [f"{group}={name}" for group, name in row.items()]
    overrides = ["model=efficientnet_lite0", "task=imagenet_samples", *chosen, *(word for one in chosen for word in NEEDS.get(one, []))]
    (document,) = compose_trials(overrides).documents
    trial = parse_trial(document)
    parse_campaign(document)
    for group, name in row.items():
        assert getattr(getattr(trial, group, None), "name", name) == name
    model_options, task_options = options_here(trial)
    resolve("model", trial.model.target, model_options)
    resolve("task", trial.task.target, task_options)
