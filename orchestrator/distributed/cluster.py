"""Open the cluster a campaign runs on: a Ray started for this command, or one that runs already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.config import CampaignConfig
from orchestrator.distributed.joined import JoinedRay
from orchestrator.distributed.local import embedded_ray, own_folder
from orchestrator.distributed.shipping import stage_code
from orchestrator.execution.executor import Executor
from orchestrator.execution.guard import Guard, guarded
from orchestrator.execution.site import Site
from orchestrator.measurement.machine import read_machine


@contextmanager
def open_local(config: CampaignConfig, cache_dir: Path) -> Iterator[Site]:
    """Start an embedded Ray on this machine and yield its site; end it afterwards.

    Raises InputError for a folder of ``code`` that cannot be shipped.
    """
    with guarded() as guard, staged_code(config, guard) as staged, embedded_ray(staged, guard):
        from orchestrator.distributed.site import RaySite

        yield RaySite(config.cluster, str(cache_dir), own=read_machine(), guard=guard)


@contextmanager
def open_local_executor(config: CampaignConfig, cache_dir: Path) -> Iterator[Executor]:
    """Start an embedded Ray and yield the executor over this machine."""
    with open_local(config, cache_dir) as site, site.executor() as executor:
        yield executor


@contextmanager
def open_joined(config: CampaignConfig, cache_dir: Path) -> Iterator[Site]:
    """Join the cluster at ``cluster.address`` and yield its site; leave it afterwards as it was.

    Raises InputError for a cluster that cannot be joined, and for a folder of ``code`` that cannot be shipped.
    """
    assert config.cluster.address is not None
    with guarded() as guard, staged_code(config, guard) as staged, JoinedRay(config.cluster.address, staged):
        from orchestrator.distributed.site import RaySite

        yield RaySite(config.cluster, cache_of_each_host(cache_dir), guard=guard)


@contextmanager
def staged_code(config: CampaignConfig, guard: Guard) -> Iterator[Path]:
    """Yield a folder with the code that every worker imports; delete it afterwards."""
    with own_folder(guard) as folder:
        staged = folder / "code"
        stage_code(staged, config.code)
        yield staged


def cache_of_each_host(cache_dir: Path) -> str:
    """Return the cache folder so that every host reads it in its own home."""
    home = Path.home()
    return f"~/{cache_dir.relative_to(home)}" if cache_dir.is_relative_to(home) else str(cache_dir)
