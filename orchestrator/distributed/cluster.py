"""Open the cluster a campaign runs on, and the executor over it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.config import CampaignConfig
from orchestrator.contracts import InputError
from orchestrator.distributed.local import EmbeddedRay
from orchestrator.distributed.placement import Node
from orchestrator.distributed.shipping import stage_code
from orchestrator.execution.executor import Executor
from orchestrator.measurement.affinity import allowed_cores
from orchestrator.measurement.environment import boot_id, environment


@contextmanager
def open_cluster(config: CampaignConfig, cache_dir: Path) -> Iterator[Executor]:
    """Start an embedded Ray on this machine and yield an executor; end it afterwards.

    Raises InputError for a folder of ``code`` that cannot be shipped, and for a cluster that cannot be joined.
    """
    if config.cluster.name != "local":
        raise InputError(f"cluster={config.cluster.name}: this version measures on this machine; use cluster=local")
    staged = Path(tempfile.mkdtemp(prefix="tail-quality-code-"))
    try:
        stage_code(staged, config.code)
        with EmbeddedRay(staged):
            import ray

            from orchestrator.distributed.executor import RayExecutor

            node = Node(
                node_id=ray.get_runtime_context().get_node_id(),
                host=str(environment()["host"]),
                boot_id=boot_id(),
                cores=allowed_cores(),
            )
            yield RayExecutor((node,), str(cache_dir), boot_id())
    finally:
        shutil.rmtree(staged, ignore_errors=True)
