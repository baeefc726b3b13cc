import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

CLUSTER = Path(__file__).parents[2] / "cluster"


@pytest.fixture(scope="session")
def cluster_folder() -> Path:
    return CLUSTER


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], int]:
    """Return the first of so many consecutive ports that nothing listens on, below those that the kernel hands out."""
    taken: set[int] = set()

    def find(count: int) -> int:
        while True:
            first = random.randrange(11000, 32000 - count)
            ports = range(first, first + count)
            if not taken.intersection(ports) and all(is_free(port) for port in ports):
                taken.update(ports)
                return first

    return find


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Callable[[str], dict[str, str]]]:
    """Give the environment of a made-up host: a home and a state folder of its own; what was started there is ended afterwards."""
    made: dict[str, dict[str, str]] = {}

    def host(name: str) -> dict[str, str]:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        made[name] = kept | {"HOME": str(home), "TAIL_QUALITY_STATE": str(home / "state"), "TAIL_QUALITY_PYTHON": sys.executable}
        return made[name]

    yield host
    for environment in reversed(made.values()):
        subprocess.run([CLUSTER / "stop.sh"], env=environment, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def script(cluster_folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(environment: dict[str, str], name: str, *options: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(cluster_folder / name), *options]
        return subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def lab(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run lab.py where `ssh` is a script that runs commands on this machine."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").symlink_to(Path(__file__).with_name("stand_in_ssh"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment = kept | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LAB": str(tmp_path)}

    def run(action: str, inventory: object) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "inventory.yaml"
        file.write_text(inventory if isinstance(inventory, str) else yaml.safe_dump(inventory))
        command = [sys.executable, CLUSTER / "lab.py", action, file]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run
