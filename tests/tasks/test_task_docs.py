import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from omegaconf import OmegaConf
from pictures import save_picture

from orchestrator.configuration.config import ModelConfig, TaskConfig
from orchestrator.contracts import InputError, LoadContext, LoadedModel, Model, Task
from orchestrator.subject.targets import resolve

torch = Lazily("torch")
nn = Lazily("torch.nn")

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Return a function that writes a page's example as a newcomer would and returns its YAML with ``path`` keys set here."""

    def write(page: str) -> dict[str, Any]:
        text = (DOCS / page).read_text()
        example = re.search(r"`(\w+\.py)`[^`]*```python\n(.*?)```.*?`my_conf/\w+/\w+\.yaml`[^`]*```yaml\n(.*?)```", text, re.DOTALL)
        assert example is not None, "the page's example is gone"
        (tmp_path / example[1]).write_text(example[2])
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        loaded = OmegaConf.to_container(OmegaConf.create(example[3]), resolve=True)
        assert isinstance(loaded, dict)
        return {str(key): value for key, value in loaded.items()}

    return write


def test_the_example_of_a_task_works(unpack: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    config = TaskConfig.model_validate(unpack("tasks.md"))
    save_picture(tmp_path / "digits" / "7_first.png")
    save_picture(tmp_path / "digits" / "0_second.png")
    task = resolve("task", config.target, config.options | {"root": str(tmp_path / "digits")})
    assert isinstance(task, Task)
    task.check()
    assert [(sample.name, sample.reference) for sample in task.samples()] == [("0_second.png", 0), ("7_first.png", 7)]
    assert task.decode(task.samples()[0].read()).mode == "RGB"
    with pytest.raises(InputError, match=r"task\.root=nowhere"):
        resolve("task", config.target, {"root": "nowhere"}).check()


def test_the_example_of_a_model_works(
    unpack: Callable[[str], dict[str, Any]], make_context: Callable[..., LoadContext], tmp_path: Path
) -> None:
    config = ModelConfig.model_validate(unpack("your-model.md"))
    assert {"torch", "onnxruntime"} <= set(config.runtimes)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 10))
    torch.save(network.state_dict(), tmp_path / "my_net.pth")
    model = resolve("model", config.target, config.options | {"path": str(tmp_path / "my_net.pth")})
    assert isinstance(model, Model)
    model.check()
    loaded = model.load(make_context())
    assert isinstance(loaded, LoadedModel)
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    with torch.no_grad():
        expected = network((torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() - 127.5) / 127.5).topk(5)
    assert loaded.postprocess(loaded.infer(loaded.preprocess([picture]))) == expected.indices.tolist()
