from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.distributed import local
from orchestrator.distributed.watch import PORT, in_steps, waiting_in_steps
from orchestrator.endings import ClusterLost
from orchestrator.running.guard import guarded


def test_it_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(folder: Path, working_dir: Path) -> None:
        raise RuntimeError("Timed out waiting for file gcs_server_port\nand more")

    monkeypatch.setattr(local, "_start", start)
    with guarded() as guard, pytest.raises(ClusterLost) as caught, local.embedded_ray(tmp_path, guard):
        pass
    assert str(caught.value) == "the embedded Ray did not start (Timed out waiting for file gcs_server_port)"


def test_its_port_is_waited_for_in_short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own wait holds Python's lock, so that no thread of ours could notice meanwhile that the process has died."""
    asked: list[float] = []

    def wait(*arguments: str, timeout_ms: float) -> int:
        asked.append(timeout_ms)
        if len(asked) < 3:
            raise RuntimeError("Timed out waiting for file")
        return 6379

    assert in_steps(wait)("folder", "node", "port", timeout_ms=10_000) == 6379
    assert max(asked) < 10
    asked.clear()
    with pytest.raises(RuntimeError, match="Timed out"):
        in_steps(wait)(timeout_ms=0)


def test_ray_still_calls_its_wait_so() -> None:
    from ray._private import node

    own = getattr(node, PORT)
    with waiting_in_steps():
        assert getattr(node, PORT) is not own
    assert getattr(node, PORT) is own
