import re
from pathlib import Path

import pytest
import yaml
from program import orchestrator

PROJECT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_example_composes(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "cluster.md").read_text()
    blocks = re.findall(r"^`(my_conf/\S+\.yaml)`:\n\n```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    for name, text in blocks:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    command = [
        *["--cfg", "job", "--config-dir", str(tmp_path / "my_conf"), "+sweep=lab", "cluster=address"],
        "cluster.address=192.0.2.10:6379",
    ]
    shown = orchestrator(*command, cwd=PROJECT)
    assert shown.returncode == 0, shown.stderr
    trials = list(yaml.safe_load_all(shown.stdout))
    assert [trial["system"]["name"] for trial in trials] == ["desktop", "card", "p100", "v100"] * 2
    assert all(trial["system"]["labels"] == {"system": trial["system"]["name"]} for trial in trials)
