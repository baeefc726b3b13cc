from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]


@pytest.fixture
def lab(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run lab.py where `ssh` is a script that runs commands on this machine."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").symlink_to(HERE / "stand_in_ssh")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment = kept | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LAB": str(tmp_path)}

    def run(action: str, inventory: object) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "inventory.yaml"
        file.write_text(inventory if isinstance(inventory, str) else yaml.safe_dump(inventory))
        command = [sys.executable, PROJECT / "cluster" / "lab.py", action, file]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def machine(name: str, number: int, first_port: int, **keys: object) -> dict[str, object]:
    return {"host": name, "ip": f"127.0.0.{number}", "ports": f"{first_port}-{first_port + 19}", "system": name[-1], **keys}


@pytest.mark.cluster
@pytest.mark.slow
def test_a_lab_comes_up_and_goes_down(
    lab: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, free_ports: Callable[[int], int]
) -> None:
    port = free_ports(1)
    inventory = {
        "port": port,
        "folder": str(PROJECT),
        "python": sys.executable,
        "head": machine("lab-a", 51, free_ports(20)),
        "nodes": [
            machine("lab-b", 52, free_ports(20), user="visitor", labels={"rack": "r2"}),
            machine("lab-c", 53, free_ports(20)),
            machine("lab-d", 54, free_ports(20)),
        ],
    }
    head = f"head 127.0.0.51:{port}"
    up = [
        f"lab-a: up: {head}",
        *(f"lab-{name}: up: system {name} on 127.0.0.{number}, {head}" for name, number in (("b", 52), ("c", 53), ("d", 54))),
        f"lab-a: next: python -m orchestrator plan +sweep=NAME cluster=address cluster.address=127.0.0.51:{port}",
    ]
    try:
        started = lab("up", inventory)
        assert (started.returncode, started.stdout.splitlines(), started.stderr) == (0, up, "")
        again = lab("up", inventory)
        assert (again.returncode, again.stdout.splitlines()) == (0, up)
        status = lab("status", inventory)
        assert status.returncode == 0
        assert [line.partition(" (process")[0] for line in status.stdout.splitlines()] == [f"{up[0]}, system a", *up[1:4]]
        tokens = [tmp_path / f"lab-{name}" / ".ray" / "auth_token" for name in "abcd"]
        assert len({token.read_text() for token in tokens}) == 1
        assert [token.stat().st_mode & 0o777 for token in tokens] == [0o600] * 4
        told = (tmp_path / "commands").read_text() + started.stdout + again.stdout + status.stdout
        assert tokens[0].read_text() not in told
        assert "visitor@lab-b" in told
    finally:
        ended = lab("down", inventory)
    assert ended.returncode == 0
    assert [line.split(":")[0] for line in ended.stdout.splitlines()] == ["lab-b", "lab-c", "lab-d", "lab-a"]
    assert lab("status", inventory).returncode == 1


def test_a_machine_that_is_not_reached_is_named(lab: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    refused = lab("up", {"head": {"host": "unreachable"}, "nodes": []})
    assert refused.returncode == 1
    assert refused.stdout == "unreachable: ssh: connect to host unreachable port 22: No route to host\n"


NINE = ", ".join(["*{0}"] * 9)
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{NINE.format(f'a{n - 1}')}]\n" for n in range(1, 12)) + "head: *a11\n"
"""Aliases of aliases: a few lines that come to 9^11 values."""


@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        ("head: [", "while parsing a flow"),
        (BOMB, "comes to more than 10000 values with its aliases (*name) written out"),
        (f"head: {'[' * 3000}", "is nested too deeply"),
        ("nodes: []", "must have a mapping `head` and a list `nodes`"),
        ({"head": {"host": "a"}, "hosts": []}, "hosts: there is no such key; choose of head, nodes, user"),
        ({"head": {"host": "a", "systm": "x"}}, "head.systm: there is no such key; choose of host, system"),
        ({"head": {"host": "-oProxyCommand=x"}}, "head: needs a host that ssh can reach"),
        ({"head": {"host": "a"}, "nodes": [{"host": "b"}]}, "nodes[0]: b has no system; say which one it is"),
        ({"head": {"host": "a", "system": "x"}, "nodes": [{"host": "b", "system": "x"}]}, "system x is named twice"),
        ({"head": {"host": "a", "system": 100}}, "head.system=100: must be a str; put text in quotes"),
        ({"head": {"host": "a"}, "nodes": [5]}, "nodes[0]=5: must be a mapping such as {host: NAME, system: NAME}"),
        ({"head": {"host": "a"}, "nodes": [{"host": "b", "system": "x"}, "h2"]}, "nodes[1]=h2: must be a mapping such as"),
        ({"head": {"host": "a"}, "nodes": [None]}, "nodes[0]=None: must be a mapping such as"),
        ({"head": {"host": "a"}, "nodes": None}, "must have a mapping `head` and a list `nodes`"),
        ({"head": []}, "must have a mapping `head` and a list `nodes`"),
        ("5", "must have a mapping `head` and a list `nodes`"),
        ({"head": {"host": "a"}, 5: 1, "x": 1}, "5: there is no such key"),
        ({"head": {"host": 5}}, "head.host=5: must be a str; put text in quotes"),
        ({"head": {"host": "a", "port": True}}, "head.port=True: must be a int"),
        ({"head": {"host": "a", "labels": ["r2"]}}, "head.labels=['r2']: must be a dict"),
        ("head: {host: a, labels: {rack: 1.10}}", "head.labels.rack=1.1: must be a str; put text in quotes"),
        ("head: {host: a, labels: {rack: yes}}", "head.labels.rack=True: must be a str; put text in quotes"),
        ("head: {host: a, labels: {7: r2}}", "head.labels, the key 7=7: must be a str; put text in quotes"),
    ],
)
def test_mistakes_of_an_inventory_are_one_line(
    lab: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, inventory: object, said: str
) -> None:
    refused = lab("up", inventory)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {tmp_path / 'inventory.yaml'}: ")
    assert refused.stderr.count("\n") == 1
    assert said in refused.stderr
    assert not (tmp_path / "commands").exists()


def test_the_example_is_a_lab_of_four(lab: Callable[..., subprocess.CompletedProcess[str]], cluster_folder: Path) -> None:
    sys.path.insert(0, str(cluster_folder))
    try:
        from inventory import read_inventory  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(cluster_folder))
    head, nodes = read_inventory(cluster_folder / "inventory.yaml")
    assert [machine.system for machine in (head, *nodes)] == ["desktop_cpu", "p100", "v100", "titan_v"]
    assert [machine.user for machine in (head, *nodes)] == ["bench", "bench", "bench", "visitor"]
    assert lab("sideways", (cluster_folder / "inventory.yaml").read_text()).returncode == 2
