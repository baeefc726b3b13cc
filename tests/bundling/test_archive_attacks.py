import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from bundles import packed, put, sums
from refusals import refused

from orchestrator.bundling.archive import OLD_SUMS, SUMS, unpack


def evil(folder: Path, summed: str, name: str, content: bytes = b"", **fields: object) -> Path:
    """Write an archive whose sums name one file, and that holds another one after them."""

    def add(archive: tarfile.TarFile) -> None:
        put(archive, SUMS, sums(summed))
        put(archive, name, content, **fields)

    return packed(folder / "evil.tar.zst", add)


def outcome(path: Path, folder: Path) -> list[str]:
    folder.mkdir()
    return unpack(path, folder)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("a", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("a", {"type": tarfile.LNKTYPE, "linkname": SUMS}),
        ("a", {"type": tarfile.DIRTYPE}),
        ("a", {"type": tarfile.FIFOTYPE}),
        ("a", {"type": tarfile.CHRTYPE}),
        ("../a", {}),
        ("/tmp/a", {}),
        ("b" * 5000, {}),
    ],
)
def test_nothing_but_files_that_the_sums_name(name: str, fields: dict[str, object], tmp_path: Path) -> None:
    (problem,) = outcome(evil(tmp_path, "a", name, **fields), tmp_path / "out")
    assert problem.startswith(name[:200])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar.zst", "out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [SUMS]


@pytest.mark.parametrize("name", ["../a", "/tmp/of_a_stranger", "a/../../b"])
def test_nothing_is_written_elsewhere(name: str, tmp_path: Path) -> None:
    assert outcome(evil(tmp_path, name, name, b"1"), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar.zst", "out"]
    assert not Path("/tmp/of_a_stranger").exists()


def test_what_unpacks_to_far_more_than_it_is_gets_refused(tmp_path: Path) -> None:
    with refused("too_large"):
        outcome(evil(tmp_path, "a", "a", bytes(2**25)), tmp_path / "out")


def test_a_header_that_never_ends_is_not_read_into_memory(tmp_path: Path) -> None:
    assert outcome(evil(tmp_path, "a", "././@LongLink", bytes(2**24), type=tarfile.GNUTYPE_LONGNAME), tmp_path / "out")


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a text, and no bundle at all")
    (tmp_path / "empty").write_bytes(b"")
    packed(tmp_path / "other.tar.zst", lambda archive: put(archive, "a", b"x"))
    packed(tmp_path / "others.tar.zst", lambda archive: put(archive, OLD_SUMS, b"{}"))
    packed(tmp_path / "lines.tar.zst", lambda archive: put(archive, SUMS, b"{}"))
    for place in sorted(tmp_path.iterdir()):
        with refused("damaged"):
            outcome(place, tmp_path / f"{place.name} unpacked")
    with refused("not_found", value=tmp_path):
        outcome(tmp_path, tmp_path / "out")


@pytest.mark.slow
def test_a_killed_verify_leaves_nothing(tmp_path: Path) -> None:
    program = "import os, signal\nfrom orchestrator.bundling.verification import passing_folder\nwith passing_folder() as folder:\n"
    program += "    (folder / 'a').write_text('x')\n    print(folder, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    folder = Path(done.stdout.strip())
    assert done.returncode == -signal.SIGKILL
    while folder.exists():  # pytest-timeout ends a folder that stays
        time.sleep(0.01)
