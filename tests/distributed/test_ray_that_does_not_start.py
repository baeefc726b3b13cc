from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.distributed import cluster
from orchestrator.endings import ClusterLost


def test_it_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "LOOPBACK", "192.0.2.1")  # no address of any host
    with cluster.EmbeddedRay() as embedded:
        folder = embedded.keeper and Path(embedded._folder)
        with pytest.raises(ClusterLost, match=r"^the embedded Ray did not start \(.+\)$") as caught, embedded.connected([]):
            pass
    assert "\n" not in str(caught.value)
    assert folder is not None
    assert not folder.exists()
