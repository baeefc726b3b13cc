"""What a command writes replaces nothing that it reads and nothing of a campaign, whatever path leads there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_campaign import contents, measure_small

from orchestrator.__main__ import main
from orchestrator.commands import line
from orchestrator.contracts import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign, its baseline, and files that commands read, with links to some of them."""
    folder = tmp_path_factory.mktemp("outputs")
    measure_small(folder / "r")
    assert main(["export", "baseline", str(folder / "base.json"), str(folder / "r")]) == 0
    (folder / "needs.yaml").write_text("requirements: []\n")
    (folder / "waits.csv").write_text("tolerance_ms\n20\n")
    (folder / "key.tar.zst.sig").write_text("a key\n")
    (folder / "notes.txt").write_text("mine\n")
    (folder / "page.md").write_text("# mine\n")
    (folder / "to_needs").symlink_to("needs.yaml")
    (folder / "hard_needs").hardlink_to(folder / "needs.yaml")
    (folder / "into_r").symlink_to("r/trials")
    return folder


@pytest.fixture
def unchanged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test runs in the folder and must leave every byte of it as it was."""
    monkeypatch.chdir(folder)
    before = contents(folder)
    yield
    assert contents(folder) == before


@pytest.mark.parametrize(
    "words",
    [
        "assess r --requirements needs.yaml --json r/campaign.json",
        "assess r --requirements needs.yaml --junit into_r/new.xml",
        "assess r --requirements needs.yaml --json needs.yaml",
        "assess r --requirements needs.yaml --html to_needs",
        "assess r --requirements needs.yaml --markdown hard_needs",
        "compare r r --markdown r/trials/part-00000.parquet",
        "compare base.json r --json ./base.json",
        "compare base.json r --html r/report.html",
        "compare --run needs.yaml system=cpu_1core --json needs.yaml",
        "compare --run x=1 x=2 --to . --json a/c.json",
        "bundle r key.tar.zst --sign key.tar.zst.sig",
        "export baseline notes.txt r",
        "export baseline r/trials/b.json r",
        "study r --to . --fill page.md --criteria page.md",
        "study r --fill r/campaign.json",
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_nothing_that_is_read_or_stored_is_replaced(words: str) -> None:
    with pytest.raises(InputError):
        line.run(words.split())
