from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import files_of, packed, put
from program import orchestrator

from orchestrator.bundling import unpack as unpacking
from orchestrator.bundling.archive import SEAL_BYTES
from orchestrator.bundling.manifest import NAME, BundledFile, manifest_of, to_text
from orchestrator.bundling.unpack import unpack
from orchestrator.contracts import InputError

Add = Callable[[tarfile.TarFile], None]


def naming(bundle: Path, **files: BundledFile) -> bytes:
    """A manifest with a fitting seal that names any files; ``__`` stands for a slash."""
    manifest = manifest_of(files_of(bundle)[NAME])
    named = {name.replace("__", "/"): file for name, file in files.items()}
    return to_text(manifest.model_copy(update={"files": named})).encode()


def size(count: int) -> BundledFile:
    return BundledFile(size_bytes=count, sha256="0" * 64)


def outcome(path: Path, folder: Path) -> tuple[str, ...]:
    folder.mkdir()
    return unpack(path, folder).problems


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("a", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a: is no regular file"),
        ("a", {"type": tarfile.LNKTYPE, "linkname": NAME}, "a: is no regular file"),
        ("a", {"type": tarfile.DIRTYPE}, "a: is no regular file"),
        ("a", {"type": tarfile.FIFOTYPE}, "a: is no regular file"),
        ("a", {"type": tarfile.CHRTYPE}, "a: is no regular file"),
        ("../a", {}, "../a: is not in MANIFEST.json"),
        ("/tmp/a", {}, "/tmp/a: is not in MANIFEST.json"),
        ("b" * 5000, {}, "b" * 200 + ": is not in MANIFEST.json"),
    ],
)
def test_nothing_but_files_that_the_manifest_names(name: str, fields: dict[str, object], told: str, bundle: Path, tmp_path: Path) -> None:
    def add(archive: tarfile.TarFile) -> None:
        put(archive, NAME, naming(bundle, a=size(0)))
        put(archive, name, b"", **fields)

    (problem,) = outcome(packed(tmp_path / "evil.tar.zst", add), tmp_path / "out")
    assert problem.startswith(told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar.zst", "out"]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "names", [["../a"], ["/a"], ["a/../b"], [".a"], ["a", "a/b"], ["A", "a"], ["a//b"], [""], ["a\0"], ["/".join("a" * 20)], [NAME]]
)
def test_a_manifest_names_plain_paths_alone(names: list[str], bundle: Path, tmp_path: Path) -> None:
    text = naming(bundle, **{name.replace("/", "__"): size(0) for name in names}).decode()
    path = packed(tmp_path / "evil.tar.zst", lambda archive: put(archive, NAME, text.encode()))
    (problem,) = outcome(path, tmp_path / "out")
    assert problem.startswith(f"{NAME}: is not what was written")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_is_there_once_and_as_large_as_the_manifest_says(bundle: Path, tmp_path: Path) -> None:
    def twice(archive: tarfile.TarFile) -> None:
        put(archive, NAME, naming(bundle, a=size(1)))
        put(archive, "a", b"1")
        put(archive, "a", b"2")

    problems = outcome(packed(tmp_path / "twice.tar.zst", twice), tmp_path / "1")
    assert [problem.partition(" (")[0] for problem in problems] == [
        "a: is not what was bundled",
        "a: is there twice; what comes after it was not read",
    ]
    assert (tmp_path / "1" / "a").read_bytes() == b"1"

    def larger(archive: tarfile.TarFile) -> None:
        put(archive, NAME, naming(bundle, a=size(1)))
        put(archive, "a", bytes(1000))

    (problem,) = outcome(packed(tmp_path / "larger.tar.zst", larger), tmp_path / "2")
    assert problem.startswith("a: has 1,000 bytes, and 1 by MANIFEST.json")


def test_what_unpacks_to_far_more_than_it_is_gets_refused(bundle: Path, tmp_path: Path) -> None:
    def bomb(archive: tarfile.TarFile) -> None:
        put(archive, NAME, naming(bundle, a=size(10**12)))

    with pytest.raises(InputError, match=r"would unpack to 1,000,000,000,000 bytes, more than 1,000 times its size"):
        outcome(packed(tmp_path / "bomb.tar.zst", bomb), tmp_path / "out")


def test_a_header_that_never_ends_is_not_read_into_memory(bundle: Path, tmp_path: Path) -> None:
    def long(archive: tarfile.TarFile) -> None:
        put(archive, "././@LongLink", bytes(2**24), type=tarfile.GNUTYPE_LONGNAME)

    (problem,) = outcome(packed(tmp_path / "long.tar.zst", long), tmp_path / "out")
    assert problem == "long.tar.zst: cannot be read beyond its beginning (it holds more than its headers say)"


def test_more_than_the_disk_holds_is_told_before_it_is_written(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000})())
    with pytest.raises(InputError, match=r"needs [0-9,]+ bytes and .* has 1,000: choose another place with TMPDIR"):
        outcome(bundle, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_bundle_is_told_in_one_line(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a text, and no bundle at all, that is long enough to hold a seal" * 9)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    other = b"?" * SEAL_BYTES
    packed(tmp_path / "other.tar.zst", lambda archive: put(archive, "a", b"x"), other)
    packed(tmp_path / "others.tar.zst", lambda archive: put(archive, NAME, b"{}"), other)
    newer = manifest_of(files_of(bundle)[NAME]).model_copy(update={"bundle_version": 2})
    packed(tmp_path / "newer.tar.zst", lambda archive: put(archive, NAME, to_text(newer).encode()))
    for name, told in (
        ("text", "text is no bundle (it neither begins as .tar.zst does nor ends with a seal)"),
        ("empty", "empty is no bundle"),
        ("folder", "folder is a folder"),
        ("missing", "missing is not there"),
        ("other.tar.zst", "other.tar.zst is no bundle (its first file must be MANIFEST.json)"),
        ("others.tar.zst", "others.tar.zst is no bundle (its MANIFEST.json is not ours)"),
        ("newer.tar.zst", "newer.tar.zst has bundle version 2 and this program reads up to 1: upgrade tail-quality"),
    ):
        done = orchestrator("verify", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), name
        assert done.stderr.startswith(f"error: {told}")
        assert len(done.stderr.splitlines()) == 1
