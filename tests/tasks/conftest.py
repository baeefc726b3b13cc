from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lazily import Lazily
from PIL import Image

from orchestrator.contracts import LoadContext


@pytest.fixture
def make_context(tmp_path: Path) -> Callable[..., LoadContext]:
    """Return a factory of contexts: fp32 on two CPU threads, a cache of this test's own, and what the caller changes."""
    return partial(context_with, tmp_path / "cache")


@pytest.fixture(scope="module")
def make_any_context(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., LoadContext]:
    """Return such a factory for models that several tests of a module use, with a cache of the module's own."""
    return partial(context_with, tmp_path_factory.mktemp("module") / "cache")


def context_with(cache: Path, runtime: str = "torch", **changes: Any) -> LoadContext:
    settings = {"dtype": "fp32", "deterministic": False, "autotune": False, "device": "cpu", "threads": 2, "batch": 1, "cache_dir": cache}
    return LoadContext(runtime=runtime, **(settings | changes))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes the weights of a network of PyTorch to a file of a name, and returns its path."""

    def save(network: Any, name: str = "small.pth") -> Path:
        path = tmp_path_factory.mktemp("weights") / name
        write = Lazily("safetensors.torch").save_file if path.suffix == ".safetensors" else Lazily("torch").save
        write(network.state_dict(), path)
        return path

    return save


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 280, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def start_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Start TensorFlow as a trial does; its threads are then those of this process for good."""
    from tasks.runtimes.tensorflow_settings import apply_settings

    apply_settings(context_with(tmp_path_factory.mktemp("cache"), "tensorflow"))
