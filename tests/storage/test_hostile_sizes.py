"""Files that are small on disk and huge in memory."""

from pathlib import Path

import pyarrow as pa
import pytest
from refusals import refused

from orchestrator.storage import load
from orchestrator.storage.files import sealed_json, write_parquet
from orchestrator.storage.load import read_json, read_table
from orchestrator.storage.records import CampaignRecord

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
    with refused("damaged", value=path):
        read_table(path)
    monkeypatch.setattr(load, "LONGEST_TEXT", 2**23)
    assert read_table(path).num_rows == 40


def test_millions_of_equal_values_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", pa.table({"round": pa.ListArray.from_arrays([0, 5_000_000], pa.repeat(1, 5_000_000))}))
    assert (tmp_path / "a.parquet").stat().st_size < 20_000
    with refused("damaged"):
        read_table(tmp_path / "a.parquet")


def test_a_file_may_become_as_much_larger_as_its_size_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "a.parquet", pa.table({"name": [str(number**9) for number in range(1000)]}))
    monkeypatch.setattr(load, "LONGEST_TEXT", 0)
    monkeypatch.setattr(load, "FEW_VALUES", 0)
    assert read_table(tmp_path / "a.parquet").num_rows == 1000


def test_json_has_a_size_and_a_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "campaign.json"
    path.write_text(sealed_json('{\n "a": ' + "[" * 250 + "]" * 250 + "\n}"))
    with refused("damaged", value=path):
        read_json(path, CampaignRecord)
    monkeypatch.setattr(load, "LONGEST_TEXT", 1000)
    path.write_text(sealed_json('{\n "a": [' + "{}, " * 1000 + "{}]\n}"))
    with refused("too_large", value=path):
        read_json(path, CampaignRecord)


@pytest.mark.parametrize("place", ["%s", "[[%s]]", '{"a": [1, {"b": %s}]}'])
def test_json_holds_numbers_of_128_bits(place: str) -> None:
    for number in (2**128, -(2**128)):
        load.parse_json((place % number).encode())
    for none in (2**128 + 1, -(2**128) - 1, "NaN"):
        with pytest.raises(ValueError, match=r"128 bits|expected"):
            load.parse_json((place % none).encode())
