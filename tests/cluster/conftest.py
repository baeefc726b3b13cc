import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from four_hosts import four_hosts, hosts_script, traces_of

__all__ = ["four_hosts", "hosts_script", "tmp_path_factory", "traces_of"]


@pytest.fixture(scope="session")
def tmp_path_factory() -> Iterator[pytest.TempPathFactory]:
    """On the disk: a host has memory of its own at /dev/shm, where it sees nothing of the machine's."""
    with tempfile.TemporaryDirectory() as folder:
        yield pytest.TempPathFactory(Path(folder, "tests"), 1, "failed", lambda *_: None, _ispytest=True)  # pytest makes it so alone
