from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from refusals import refused

from orchestrator.configuration.config import ModelConfig, TaskConfig
from orchestrator.contracts import Model, Task
from orchestrator.subject.targets import resolve

BROUGHT_BY_USER = {"estimator", "keras_classifier", "nanodet"}
CONF = Path(__file__).parents[2] / "conf"
MODELS = sorted((CONF / "model").glob("*.yaml"))
TASKS = sorted((CONF / "task").glob("*.yaml"))


def load(path: Path) -> dict[str, Any]:
    loaded = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    assert isinstance(loaded, dict)
    return {str(key): value for key, value in loaded.items()}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_model_s_yaml_constructs_its_class(path: Path) -> None:
    config = ModelConfig.model_validate(load(path))
    model = resolve("model", config.target, config.options)
    assert config.name == path.stem
    assert isinstance(model, Model)
    if config.name in BROUGHT_BY_USER:
        with refused("missing", "model.path"):
            model.check()
        return
    model.check()
    assert all(file.is_file() for file in model.files())


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_every_task_s_yaml_constructs_its_class(path: Path) -> None:
    config = TaskConfig.model_validate(load(path))
    task = resolve("task", config.target, config.options)
    assert config.name == path.stem
    assert isinstance(task, Task)
    assert task.metrics
    assert config.classes == config.options.get("class_count", config.classes)
