"""What a command writes replaces nothing that it reads and nothing of a campaign, whatever path leads there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_campaign import contents, measure_small

from orchestrator.__main__ import main

LIES_WITHIN = "lies within the campaign"
IS_READ = "which this command reads: name another"


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
    ("words", "said"),
    [
        ("assess r --requirements needs.yaml --json r/campaign.json", LIES_WITHIN),
        ("assess r --requirements needs.yaml --junit into_r/new.xml", LIES_WITHIN),
        ("assess r --requirements needs.yaml --json needs.yaml", IS_READ),
        ("assess r --requirements needs.yaml --html to_needs", IS_READ),
        ("assess r --requirements needs.yaml --markdown hard_needs", IS_READ),
        ("compare r r --markdown r/trials/part-00000.parquet", LIES_WITHIN),
        ("compare base.json r --json ./base.json", IS_READ),
        ("compare base.json r --html r/report.html", LIES_WITHIN),
        ("compare --run needs.yaml system=cpu_1core --json needs.yaml", IS_READ),
        ("compare --run x=1 x=2 --to . --json a/c.json", LIES_WITHIN),
        ("bundle r key.tar.zst --sign key.tar.zst.sig", IS_READ),
        ("export baseline notes.txt r", "is there and is no baseline"),
        ("export baseline r/trials/b.json r", LIES_WITHIN),
        ("study r --to . --fill page.md --criteria page.md", IS_READ),
        ("study r --fill r/campaign.json", LIES_WITHIN),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_nothing_that_is_read_or_stored_is_replaced(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The program says so in one line before it reads a campaign."""
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_baseline_is_replaced_by_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it always was: a later campaign becomes the baseline."""
    monkeypatch.chdir(folder)
    before = Path("base.json").read_bytes()
    assert main(["export", "baseline", "base.json", "r", "analysis.thresholds_ms=[3]"]) == 0
    assert Path("base.json").read_bytes() != before
