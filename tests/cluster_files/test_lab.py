"""What lab.py refuses; test_start_and_stop.py brings a lab up and down."""

from pathlib import Path

import pytest
import yaml


@pytest.mark.parametrize(
    ("inventory", "place"),
    [
        ("head: [", ""),
        (f"head: {'[' * 300}", ""),
        ("nodes: []", "head"),
        ({"head": {"host": "a"}, "hosts": []}, "hosts"),
        ({"head": {"host": "a", "systm": "x"}}, "head.systm"),
        ({"head": {"host": "-oProxyCommand=x"}}, "head"),
        ({"head": {"host": "a"}, "nodes": [{"host": "b"}]}, "nodes[0]"),
        ({"head": {"host": "a", "system": "x"}, "nodes": [{"host": "b", "system": "x"}]}, "system x"),
        ({"head": {"host": "a", "system": 100}}, "head.system=100"),
        ({"head": {"host": "a"}, "nodes": [{"host": "b", "system": "x"}, "h2"]}, "nodes[1]=h2"),
        ({"head": {"host": "a"}, "nodes": None}, "nodes"),
        ({"head": {"host": "a", "port": True}}, "head.port=True"),
        ("head: {host: a, labels: {rack: 1.10}}", "head.labels.rack=1.1"),
        ("head: {host: a, labels: {7: r2}}", "head.labels"),
    ],
)
def test_mistakes_of_an_inventory_are_one_line(
    cluster_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, inventory: object, place: str
) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(inventory if isinstance(inventory, str) else yaml.safe_dump(inventory))
    monkeypatch.syspath_prepend(cluster_folder)
    from lab import main  # type: ignore[import-not-found]

    code = main(["up", str(file)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")  # whatever it does on a machine, it says
    assert (err.startswith(f"error: {file}: "), err.count("\n"), place in err) == (True, 1, True), err
