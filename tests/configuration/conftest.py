from collections.abc import Callable
from pathlib import Path

import pytest

MODEL = "name: {name}\nkind: numbers\ntarget: null_targets:NullModel\nruntimes: [torch]\npath: null\nnested: {{}}\n"
TASK = "name: {name}\nkind: numbers\ntarget: null_targets:Numbers\ncount: 20\n"

Write = Callable[[str, str], Path]


@pytest.fixture
def own_conf(tmp_path: Path) -> Path:
    """A user's folder of groups with three models and two tasks."""
    folder = tmp_path / "own conf"
    for name in ("alpha", "beta", "gamma"):
        put(folder, f"model/{name}", MODEL.format(name=name))
    for name in ("first", "second"):
        put(folder, f"task/{name}", TASK.format(name=name))
    return folder


@pytest.fixture
def write(own_conf: Path) -> Write:
    """Write one more YAML file into the user's folder."""
    return lambda name, text: put(own_conf, name, text)


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
