from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.distributed import cluster
from orchestrator.endings import ClusterLost


@pytest.mark.slow
def test_it_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "LOOPBACK", "192.0.2.1")  # no address of any host
    folders: list[Path] = []
    make = cluster.private_folder
    monkeypatch.setattr(cluster, "private_folder", lambda: folders.append(make()) or folders[-1])
    with (
        pytest.raises(ClusterLost, match=r"^the embedded Ray did not start \(.+\)$") as caught,
        cluster.started_ray() as head,
        cluster.joined_ray(head, []),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert [folder.exists() for folder in folders] == [False]
