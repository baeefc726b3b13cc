"""What lab.py refuses; test_start_and_stop.py brings a lab up and down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml


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
    cluster_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], inventory: object, said: str
) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(inventory if isinstance(inventory, str) else yaml.safe_dump(inventory))
    with own_modules(cluster_folder):
        from lab import main  # type: ignore[import-not-found]

        code = main(["up", str(file)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")  # whatever it does on a machine, it says
    assert err.startswith(f"error: {file}: ")
    assert err.count("\n") == 1
    assert said in err


@contextmanager
def own_modules(folder: Path) -> Iterator[None]:
    """Import from a folder of programs meanwhile."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def test_the_example_is_a_lab_of_four(lab: Callable[..., subprocess.CompletedProcess[str]], cluster_folder: Path) -> None:
    with own_modules(cluster_folder):
        from inventory import read_inventory  # type: ignore[import-not-found]
    head, nodes = read_inventory(cluster_folder / "inventory.yaml")
    assert [machine.system for machine in (head, *nodes)] == ["desktop_cpu", "p100", "v100", "titan_v"]
    assert [machine.user for machine in (head, *nodes)] == ["bench", "bench", "bench", "visitor"]
    assert lab("sideways", (cluster_folder / "inventory.yaml").read_text()).returncode == 2
