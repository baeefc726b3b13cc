"""The oracle of composition: Hydra on its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.config import BLOCKS, OPEN_KEYS, PLAIN_KEYS, schema_keys


def by_hydra(settings: Sequence[str], folders: Sequence[Path] = ()) -> dict[str, Any]:
    """What Hydra alone makes of one trial, every override given to it at once."""
    search = [f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in folders)}]"]
    last = dict(setting.split("=", 1) for setting in settings)
    known = {*PLAIN_KEYS, *(f"{block}.{name}" for block in BLOCKS for name in schema_keys(block))}
    overrides = [f"{'++' if key in known or key.startswith(OPEN_KEYS) else ''}{key}={value}" for key, value in last.items()]
    with initialize_config_dir(str(shipped_folder()), version_base="1.3"):
        return OmegaConf.to_container(compose("config", [*search, *overrides]), resolve=True)  # type: ignore[assignment]
