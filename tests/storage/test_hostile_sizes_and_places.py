"""Files that are small on disk and huge in memory, and folders that change their place while they are written to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from orchestrator.__main__ import main
from orchestrator.analysis.table import tables
from orchestrator.commands import reading
from orchestrator.contracts import InputError
from orchestrator.storage import load
from orchestrator.storage.files import Held, make_folder, remove, sealed_json, write_parquet, write_results, write_text
from orchestrator.storage.layout import refuse_campaign_folder
from orchestrator.storage.load import read_json, read_table
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter

TEXT = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int32()), pa.array(["x" * 100_000]))
ITEMS = pa.ListArray.from_arrays([0, *range(1, 41)], TEXT)


@pytest.mark.parametrize(
    "column", [TEXT, ITEMS, pa.StructArray.from_arrays([ITEMS], ["names"])], ids=["names", "lists of names", "names in lists in structures"]
)
def test_few_bytes_that_stand_for_long_texts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: pa.Array) -> None:
    monkeypatch.setattr(load, "LONGEST_TEXT", 2**20)
    path = tmp_path / "predictions.parquet"
    write_parquet(path, pa.table({"name": column}))
    assert path.stat().st_size < 5_000
    with pytest.raises(InputError, match=r"predictions\.parquet .*its texts would take 4,000,000 bytes in a file of [\d,]+\): restore it"):
        read_table(path)
    monkeypatch.setattr(load, "LONGEST_TEXT", 2**23)
    assert read_table(path).num_rows == 40


def test_pages_that_become_much_larger_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "LONGEST_TEXT", 2**20)
    write_parquet(tmp_path / "a.parquet", pa.table({"times": [0] * 400_000}), use_dictionary=False)
    with pytest.raises(InputError, match=r"a\.parquet .*its [\d,]+ bytes would become 3,[\d,]+\)"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("column", [pa.repeat(1, 5_000_000), pa.ListArray.from_arrays([0, 5_000_000], pa.repeat(1, 5_000_000))])
def test_millions_of_equal_values_are_refused(tmp_path: Path, column: pa.Array) -> None:
    write_parquet(tmp_path / "a.parquet", pa.table({"round": column}))
    assert (tmp_path / "a.parquet").stat().st_size < 20_000
    with pytest.raises(InputError, match=r"a\.parquet .*a column holds 5,000,000 values in a file of [\d,]+ bytes"):
        read_table(tmp_path / "a.parquet")


def test_json_has_a_size_and_a_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "campaign.json"
    path.write_text(sealed_json('{\n "a": ' + "[" * 250 + "]" * 250 + "\n}"))
    with pytest.raises(InputError, match=r"campaign\.json is not what this program writes: recursion limit exceeded"):
        read_json(path, CampaignRecord)
    monkeypatch.setattr(load, "LONGEST_TEXT", 1000)
    path.write_text(sealed_json('{\n "a": [' + "{}, " * 1000 + "{}]\n}"))
    with pytest.raises(InputError, match=r"campaign\.json has 4,[\d,]+ bytes, and may have 1,000: restore it"):
        read_json(path, CampaignRecord)


def swap(folder: Path, target: Path) -> Path:
    """Put a link to a folder in the place of another one, and return where that is now."""
    away = folder.rename(folder.with_name("away"))
    folder.symlink_to(target)
    return away


class Swapping(dict[str, str]):
    """Texts between the first and the second of which their folder becomes a link."""

    def __init__(self, texts: Mapping[str, str], deed: Callable[[], object]) -> None:
        super().__init__(texts)
        self._deed = deed

    def items(self) -> Iterator[tuple[str, str]]:  # type: ignore[override]
        for place, item in enumerate(super().items()):
            if place == 1:
                self._deed()
            yield item


def test_a_folder_that_becomes_a_link_between_two_files_leads_nowhere_else(tmp_path: Path) -> None:
    shared, mine = tmp_path / "shared", tmp_path / "mine"
    shared.mkdir(), mine.mkdir()
    for name in ("report.md", "report.html"):
        (mine / name).write_text("mine")
    empty = {"latency": tables()["latency"].schema.empty_table()}
    write_results(shared, empty, Swapping({"report.md": "a", "report.html": "b"}, lambda: swap(shared, mine)))
    assert sorted(path.read_text() for path in (tmp_path / "away").iterdir()) == ["a", "b"]
    assert [path.read_text() for path in mine.iterdir()] == ["mine", "mine"]


def test_folders_below_a_held_one_are_made_and_emptied_there_and_never_through_links(tmp_path: Path) -> None:
    shared, mine = tmp_path / "shared", tmp_path / "mine"
    (mine / "trials").mkdir(parents=True)
    (mine / "trials" / "part").write_text("mine")
    make_folder(shared)
    with closing(Held(shared)) as held:
        assert not held.gone
        away = swap(shared, mine)
        assert held.gone
        make_folder(shared / "trials")
        write_text(shared / "trials" / "part", "theirs")
        assert (away / "trials" / "part").read_text() == "theirs"
        remove([shared / "trials" / "part"])
        (away / "trials").rmdir()
        (away / "trials").symlink_to(mine / "trials")
        with pytest.raises(OSError, match="part") as told:
            write_text(shared / "trials" / "part", "theirs")
    assert told.value.filename == str(shared / "trials" / "part")
    assert (mine / "trials" / "part").read_text() == "mine"


def test_a_report_of_a_folder_that_was_swapped_meanwhile_is_written_nowhere(
    campaign: CampaignWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign.close()
    mine = tmp_path / "mine"
    mine.mkdir()
    analyse = reading.analyse
    monkeypatch.setattr(reading, "analyse", lambda *words, **options: (analyse(*words, **options), swap(campaign.directory, mine))[0])
    assert main(["report", str(campaign.directory)]) == 1
    assert f"{campaign.directory}: was removed, moved or replaced meanwhile" in capsys.readouterr().err
    assert not [*mine.iterdir()]
    assert not list(campaign.directory.with_name("away").glob("report*"))


def test_a_loop_of_links_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for words in (
        ["report", str(tmp_path / "a")],
        ["status", str(tmp_path / "a" / "c")],
        ["report", str(tmp_path / "a"), str(tmp_path / "b")],
    ):
        assert main(words) == 2
        told = capsys.readouterr().err
        assert len(told.splitlines()) == 1
        assert "Traceback" not in told
    refuse_campaign_folder(tmp_path / "a" / "c", "--to", [tmp_path / "b"])
    with pytest.raises(InputError):
        open_campaign(tmp_path / "a")
