import os
from pathlib import Path

import pytest
from refusals import refused

from orchestrator.storage.files import DRAFT, check_output_file, draft_of, remove_drafts, replacing, write_link
from orchestrator.storage.layout import merged_away, parts


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.bin"
    with replacing(path) as file:
        file.write(b"half")
        assert not path.exists()
        assert [entry.name for entry in tmp_path.iterdir()] == [draft_of(path).name]
        assert DRAFT.fullmatch(draft_of(path).name)
        file.write(b" whole")
    assert path.read_bytes() == b"half whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.bin"]


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "table.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"new" * (1 // 0))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_drafts_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    (tmp_path / ".a.parquet.77.tmp").write_bytes(b"half")
    (tmp_path / ".link.json.77.tmp").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a.tmp").write_bytes(b"not ours")
    os.mkfifo(tmp_path / ".pipe.json.77.tmp")
    with replacing(tmp_path / "b.json") as file:
        remove_drafts(tmp_path)
        file.write(b"whole")
    assert (tmp_path / "b.json").read_bytes() == b"whole"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".link.json.77.tmp", "a.tmp", "b.json"]


def test_a_link_is_relative_and_moves_to_the_newest(tmp_path: Path) -> None:
    link = tmp_path / "results" / "latest"
    for name in ("first", "second"):
        target = tmp_path / "results" / "vision" / name
        target.mkdir(parents=True)
        write_link(link, target)
        assert link.readlink() == Path("vision") / name
    moved = (tmp_path / "results").rename(tmp_path / "elsewhere")
    assert (moved / "latest").resolve() == moved / "vision" / "second"


def test_a_folder_in_place_of_the_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with refused("exists"):
        write_link(tmp_path / "latest", tmp_path)
    assert (tmp_path / "latest").is_dir()


def test_a_file_to_be_written_lies_in_a_folder_and_is_none(tmp_path: Path) -> None:
    check_output_file(tmp_path / "report.md")
    for wrong in (tmp_path, tmp_path / "missing" / "report.md"):
        with refused("not_found", value=wrong):
            check_output_file(wrong)


def test_a_merged_part_stands_for_those_that_it_was_made_of(tmp_path: Path) -> None:
    old = {"part-00000.parquet", "part-00003.parquet", "part-00000-00002.parquet", "part-00001-00003.parquet"}
    for name in (*old, "part-00000-00003.parquet", "part-00004.parquet"):
        (tmp_path / name).touch()
    assert {number: path.name for number, path in parts(tmp_path).items()} == {3: "part-00000-00003.parquet", 4: "part-00004.parquet"}
    assert {path.name for path in merged_away(tmp_path)} == old
