from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.distributed import local
from orchestrator.endings import ClusterLost
from orchestrator.execution.guard import guarded


def test_it_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own functions hold Python's lock while they wait for a process of its, so that only their error tells of its death."""

    def start(folder: Path, working_dir: Path) -> None:
        raise RuntimeError("Timed out waiting for file gcs_server_port\nand more")

    monkeypatch.setattr(local, "_start", start)
    with guarded() as guard, pytest.raises(ClusterLost) as caught, local.embedded_ray(tmp_path, guard):
        pass
    assert str(caught.value) == "the embedded Ray did not start (Timed out waiting for file gcs_server_port)"
