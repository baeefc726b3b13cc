import hashlib
import json
import os
from pathlib import Path

import pytest

from orchestrator.subject.digests import code_files, digest_code, digest_files

LONG_AGO_NS = 1_600_000_000_123_456_789


def old_file(path: Path, content: bytes, mtime_ns: int = LONG_AGO_NS) -> Path:
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_digests_are_those_of_the_contents_in_order(tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "digests.json"
    files = [old_file(tmp_path / name, name.encode() * 1000) for name in ("b", "a")]
    expected = [sha256(b"b" * 1000), sha256(b"a" * 1000)]
    assert digest_files(files, cache) == expected
    assert digest_files(files[:1], cache) == expected[:1]
    assert set(json.loads(cache.read_bytes())) == set(map(str, files))
    assert [path.name for path in cache.parent.iterdir()] == ["digests.json"]
    with pytest.raises(FileNotFoundError):
        digest_files([tmp_path / "nope"], cache)


@pytest.mark.parametrize(
    ("content", "mtime_ns", "read"),
    [(b"54321", LONG_AGO_NS, b"12345"), (b"123456", LONG_AGO_NS, b"123456"), (b"54321", LONG_AGO_NS + 1, b"54321")],
)
def test_a_remembered_file_is_read_again_if_its_size_or_time_changed(tmp_path: Path, content: bytes, mtime_ns: int, read: bytes) -> None:
    cache = tmp_path / "digests.json"
    path = old_file(tmp_path / "weights", b"12345")
    digest_files([path], cache)
    old_file(path, content, mtime_ns)
    assert digest_files([path], cache) == [sha256(read)]


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    cache = tmp_path / "digests.json"
    path = tmp_path / "weights"
    path.write_bytes(b"12345")
    digest_files([path], cache)
    assert not cache.exists()


@pytest.mark.parametrize("broken", [b"", b"{", b"\xff"])
def test_a_broken_cache_is_made_anew(tmp_path: Path, broken: bytes) -> None:
    cache = tmp_path / "digests.json"
    path = old_file(tmp_path / "weights", b"12345")
    cache.write_bytes(broken)
    assert digest_files([path], cache) == [sha256(b"12345")]
    assert json.loads(cache.read_bytes()) == {str(path): [5, LONG_AGO_NS, sha256(b"12345")]}


def test_code_is_every_python_file_of_the_users_folders_and_what_of_ours_measures(tmp_path: Path) -> None:
    for name in ("mine.py", "package/inner.py", ".venv/other.py", "data.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    before, digest = code_files([str(tmp_path)]), digest_code([str(tmp_path)])
    assert {name for name in before if not name.startswith(("orchestrator/", "tasks/"))} == {"mine.py", "package/inner.py"}
    assert {"orchestrator/measurement/timing.py", "tasks/runtimes/onnx_runtime.py"} <= before.keys()
    assert not any(name.startswith("orchestrator/report/") for name in before)
    (tmp_path / "package" / "inner.py").write_text("x = 2\n")
    after = code_files([str(tmp_path)])
    assert [name for name in before if before[name] != after[name]] == ["package/inner.py"]
    assert digest_code([str(tmp_path)]) != digest
