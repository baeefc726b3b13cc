from __future__ import annotations

import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import packed, put, sums
from program import orchestrator

from orchestrator.bundling import archive as unpacking
from orchestrator.bundling.archive import OLD_SUMS, SUMS, unpack
from orchestrator.contracts import InputError

Add = Callable[[tarfile.TarFile], None]


def outcome(path: Path, folder: Path) -> list[str]:
    folder.mkdir()
    return unpack(path, folder)


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("a", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a: is no regular file"),
        ("a", {"type": tarfile.LNKTYPE, "linkname": SUMS}, "a: is no regular file"),
        ("a", {"type": tarfile.DIRTYPE}, "a: is no regular file"),
        ("a", {"type": tarfile.FIFOTYPE}, "a: is no regular file"),
        ("a", {"type": tarfile.CHRTYPE}, "a: is no regular file"),
        ("../a", {}, "../a: is not in SHA256SUMS"),
        ("/tmp/a", {}, "/tmp/a: is not in SHA256SUMS"),
        ("b" * 5000, {}, "b" * 200 + ": is not in SHA256SUMS"),
    ],
)
def test_nothing_but_files_that_the_sums_name(name: str, fields: dict[str, object], told: str, tmp_path: Path) -> None:
    def add(archive: tarfile.TarFile) -> None:
        put(archive, SUMS, sums("a"))
        put(archive, name, b"", **fields)

    (problem,) = outcome(packed(tmp_path / "evil.tar.zst", add), tmp_path / "out")
    assert problem.startswith(told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar.zst", "out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [SUMS]


@pytest.mark.parametrize("name", ["../a", "/tmp/of_a_stranger", "a/../../b"])
def test_nothing_is_written_elsewhere(name: str, tmp_path: Path) -> None:
    def add(archive: tarfile.TarFile) -> None:
        put(archive, SUMS, sums(name))
        put(archive, name, b"1")

    problems = outcome(packed(tmp_path / "evil.tar.zst", add), tmp_path / "out")
    assert "cannot be read beyond SHA256SUMS" in problems[0] or "is not what was bundled" in problems[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar.zst", "out"]
    assert not Path("/tmp/of_a_stranger").exists()


def test_a_file_is_there_once(tmp_path: Path) -> None:
    def twice(archive: tarfile.TarFile) -> None:
        put(archive, SUMS, sums("a"))
        put(archive, "a", b"1")
        put(archive, "a", b"2")

    problems = outcome(packed(tmp_path / "twice.tar.zst", twice), tmp_path / "1")
    assert [problem.partition(" (")[0] for problem in problems] == [
        "a: is not what was bundled",
        "a: is there twice; what comes after it was not read",
    ]
    assert (tmp_path / "1" / "a").read_bytes() == b"1"


def test_what_unpacks_to_far_more_than_it_is_gets_refused(tmp_path: Path) -> None:
    def bomb(archive: tarfile.TarFile) -> None:
        put(archive, SUMS, sums("a"))
        put(archive, "a", bytes(2**25))

    with pytest.raises(InputError, match=r"unpacks to more than 1,000 times its size"):
        outcome(packed(tmp_path / "bomb.tar.zst", bomb), tmp_path / "out")


def test_a_header_that_never_ends_is_not_read_into_memory(tmp_path: Path) -> None:
    def long(archive: tarfile.TarFile) -> None:
        put(archive, SUMS, sums("a"))
        put(archive, "././@LongLink", bytes(2**24), type=tarfile.GNUTYPE_LONGNAME)

    problems = outcome(packed(tmp_path / "long.tar.zst", long), tmp_path / "out")
    assert problems == ["long.tar.zst: cannot be read beyond SHA256SUMS (it holds more than its headers say)"]


def test_more_than_the_disk_holds_is_told_before_it_is_written(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(InputError, match=r"unpacks to more than .* has room for: .*TMPDIR"):
        outcome(bundle, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_bundle_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a text, and no bundle at all")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    packed(tmp_path / "other.tar.zst", lambda archive: put(archive, "a", b"x"))
    packed(tmp_path / "others.tar.zst", lambda archive: put(archive, OLD_SUMS, b"{}"))
    packed(tmp_path / "lines.tar.zst", lambda archive: put(archive, SUMS, b"{}"))
    for name, told in (
        ("text", "text is no bundle"),
        ("empty", "empty is no bundle"),
        ("folder", "folder is a folder"),
        ("missing", "missing is not there"),
        ("other.tar.zst", "other.tar.zst is no bundle, or was changed (its first file must be SHA256SUMS)"),
        ("others.tar.zst", "others.tar.zst is no bundle, or was changed (its MANIFEST.json is not ours)"),
        ("lines.tar.zst", "lines.tar.zst is no bundle, or was changed (its SHA256SUMS has other lines"),
    ):
        done = orchestrator("verify", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), name
        assert done.stderr.startswith(f"error: {told}")
        assert len(done.stderr.splitlines()) == 1


def test_a_killed_verify_leaves_nothing(tmp_path: Path) -> None:
    program = "import os, signal\nfrom orchestrator.bundling.verification import passing_folder\nwith passing_folder() as folder:\n"
    program += "    (folder / 'a').write_text('x')\n    print(folder, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    folder = Path(done.stdout.strip())
    assert done.returncode == -signal.SIGKILL
    while folder.exists():  # pytest-timeout ends a folder that stays
        time.sleep(0.01)
