from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from program import orchestrator

PROJECT = Path(__file__).parents[2]
KEY = re.compile(r"\b(?:system|task|model|measurement|analysis|cluster)\.[a-z_]+(?==|`|:)|\brequire_same_stack\b|\bresults_dir\b")
FILE = re.compile(r"\bcluster/[\w/]+\.(?:sh|py|yaml|sbatch)\b")


@pytest.fixture(scope="module")
def page() -> str:
    return (PROJECT / "docs" / "cluster.md").read_text()


def test_every_key_is_one_that_the_configuration_page_has(page: str) -> None:
    named = set(KEY.findall(page)) - {"cluster.address"}
    known = (PROJECT / "docs" / "reference" / "keys.md").read_text()
    assert {"measurement.schedule", "system.paths", "cluster.machines"} <= named
    assert [key for key in sorted(named) if key not in known] == []


def test_every_file_that_is_named_is_there(page: str) -> None:
    files = set(FILE.findall(page))
    assert len(files) >= 6
    assert [file for file in sorted(files) if not (PROJECT / file).is_file()] == []


def test_the_example_composes(page: str, tmp_path: Path) -> None:
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


def test_the_image_holds_the_packaged_pictures(page: str) -> None:
    image = re.search(r"^FROM rayproject/ray.*?^```", page, flags=re.MULTILINE | re.DOTALL)
    assert image is not None
    assert re.search(r"^RUN pip install .*--no-deps --require-hashes -r \S+/requirements/assets.txt$", image[0], flags=re.MULTILINE)


def test_ports_are_those_of_the_scripts(
    page: str, hosts: Callable[[str], dict[str, str]], script: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    told = script(hosts("a"), "start_head.sh", "--help").stdout
    assert "(default 6379)" in told
    assert "(default 20000-20099)" in told
    assert "Open 6379 on the head and 20000-20099 on all" in page
