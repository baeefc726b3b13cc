import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from lazily import Lazily

ray_autoscaler = Lazily("ray.autoscaler._private.util")  # what `ray up` checks files with; nothing public does


@pytest.fixture
def config(cluster_folder: Path) -> dict[str, Any]:
    return yaml.safe_load((cluster_folder / "ray_up.yaml").read_text())


def test_rays_own_validator_accepts_it(config: dict[str, Any]) -> None:
    ray_autoscaler.validate_config(ray_autoscaler.prepare_config(config))


def test_the_number_of_machines_is_fixed(config: dict[str, Any]) -> None:
    prepared = ray_autoscaler.prepare_config(config)
    workers = {name: kind for name, kind in prepared["available_node_types"].items() if name != prepared["head_node_type"]}
    assert all(kind["min_workers"] == kind["max_workers"] == 1 for kind in workers.values())
    assert sum(kind["min_workers"] for kind in workers.values()) == prepared["max_workers"]
    assert prepared["available_node_types"]["head"]["max_workers"] == 0


@pytest.mark.parametrize("commands", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_every_node_starts_with_token_and_without_telemetry(config: dict[str, Any], commands: str) -> None:
    words = shlex.split(" ".join(config[commands]).replace(";", " "))
    assert {"RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0", "RAY_worker_niceness=0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0"} < set(
        words
    )
    assert "~/.ray/auth_token" in config["file_mounts"]
