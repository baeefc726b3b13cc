"""The examples of docs/servers.md work as they stand, and the servers of conf/ serve what its models ask them for."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import ModelConfig, RuntimeConfig, parse_trial
from orchestrator.contracts import LoadContext, Reply, Request, ServerFault
from orchestrator.subject.targets import resolve
from tasks.runtimes.asking import make_asking

PAGE = (Path(__file__).parents[2] / "docs" / "servers.md").read_text("utf-8")
CONF = Path(__file__).parents[2] / "conf"
COMMON = ("name", "kind", "target", "runtimes", "classes")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_runtime_of_the_page_is_a_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("python")
    (tmp_path / "my_language.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    *_, runtime = blocks("yaml")
    config = RuntimeConfig.model_validate(yaml.safe_load(runtime))
    assert config.asks_server
    asking = make_asking(LoadContext(config.name, "fp32", False, False, "cpu", 1, 1, tmp_path), {"path": "/here"})
    assert asking.upload(np.array([1, 2])) == Request("/here", b'{"numbers": [1, 2]}')
    assert asking.download(Reply({}, b'{"label": "B"}', [], 0, 1, 2)) == ["B"]
    with pytest.raises(ServerFault, match="no label"):
        asking.download(Reply({}, b"{}", [], 0, 1, 2))


def test_the_model_of_the_page_is_a_model() -> None:
    model, *_ = blocks("yaml")
    config = ModelConfig.model_validate(yaml.safe_load(model))
    resolve("model", config.target, config.options).check()


def test_the_commands_of_the_page_compose() -> None:
    commands = [line for line in PAGE.splitlines() if line.startswith("python -m orchestrator model=served_chat")]
    assert len(commands) == 2
    for command in commands:
        (document,) = compose_trials(shlex.split(command)[3:]).documents
        trial = parse_trial(document)
        assert (trial.server.name, trial.runtime.name, trial.model.name) == ("my_llama", "openai", "served_chat")


def test_servers_have_the_options_of_the_model_in_the_timed_process() -> None:
    """Another model would be compared with it as if it were the same."""
    models = [yaml.safe_load((CONF / "model" / name).read_text()) for name in ("minilm_movie_reviews.yaml", "efficientnet_lite0.yaml")]
    by_target = {model["target"]: model | {"class_count": model.get("classes")} for model in models}
    settings = [yaml.safe_load(path.read_text()).get("settings") or {} for path in (CONF / "server").glob("*.yaml")]
    assert sum("options" in of_server for of_server in settings) == 6
    for of_server in (one for one in settings if "options" in one):
        own = {key: value for key, value in by_target[of_server["target"]].items() if key not in COMMON and value is not None}
        assert json.loads(of_server["options"]) == own
