import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from orchestrator.configuration.config import RuntimeConfig, Trial
from orchestrator.configuration.neighbour import NeighbourConfig
from orchestrator.subject.inspection import Inspector, check_runtime, options_here, path_options

SOURCE = '''
from pathlib import Path
from orchestrator.contracts import Sample

class Files:
    """A task over every file of a folder; a name such as 3-x.txt is of class 3."""
    metrics = ("top1",)
    checks = 0
    def __init__(self, root, split="val"):
        self.root = Path(root)
    def check(self):
        Files.checks += 1
    def samples(self):
        for path in sorted(self.root.iterdir()):
            label = int(path.name.split("-")[0])
            yield Sample(path.name, label, str(label), path=path)
    def decode(self, encoded):
        return encoded.decode()

class Given:
    metrics = ("top1",)
    def __init__(self, samples):
        self.given = samples
    def check(self):
        pass
    def samples(self):
        return [Sample(name, reference, "x", payload=name.encode()) for name, reference in self.given]
    def decode(self, encoded):
        return encoded

class Weights:
    def __init__(self, path=None):
        self.path = path
    def check(self):
        pass
    def files(self):
        return [] if self.path is None else [Path(self.path)]
    def load(self, context):
        raise AssertionError("a plan loads nothing")
'''


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trial]:
    """Make trials over targets of a module of the user's own."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own_targets.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.delitem(sys.modules, "own_targets", raising=False)

    def make(target: str = "Files", model: dict[str, Any] | None = None, system: dict[str, Any] | None = None, **task: Any) -> Trial:
        return Trial.model_validate(
            {
                "model": {"name": "m", "kind": "k", "target": "own_targets:Weights", "runtimes": ["torch"], **(model or {})},
                "task": {"name": "t", "kind": "k", "target": f"own_targets:{target}", **task},
                "system": {"name": "s", **(system or {})},
                "runtime": {"name": "torch"},
                "measurement": {},
            }
        )

    return make


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number % 2}-{number}.txt").write_text("x" * (number + 1))
    return folder


def test_an_inspection_counts_and_digests(subject: Callable[..., Trial], data: Path, tmp_path: Path) -> None:
    weights = tmp_path / "w.bin"
    weights.write_bytes(b"weights")
    found = Inspector().open(subject(root=str(data), model={"path": str(weights)})).inspection
    names = sorted(path.name for path in data.iterdir())
    lines = [json.dumps([name, hashlib.sha256((data / name).read_bytes()).hexdigest(), int(name.split("-")[0])]) for name in names]
    assert found.data_digest == hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    assert found.model_digest == hashlib.sha256((hashlib.sha256(b"weights").hexdigest() + "\n").encode()).hexdigest()
    assert (found.samples, found.held_bytes) == (10, 55)
    assert (found.model_paths, found.task_paths) == ({"path": str(weights)}, {"root": str(data)})


def test_the_same_content_elsewhere_has_the_same_digests(subject: Callable[..., Trial], data: Path, tmp_path: Path) -> None:
    before = Inspector().open(subject(root=str(data))).inspection
    moved = data.rename(tmp_path / "elsewhere")
    assert Inspector().open(subject(root=str(moved))).inspection.data_digest == before.data_digest
    (moved / "0-0.txt").write_text("y")
    assert Inspector().open(subject(root=str(moved))).inspection.data_digest != before.data_digest


def test_a_subset_has_a_digest_of_its_own(subject: Callable[..., Trial], data: Path) -> None:
    every, half = Inspector().open(subject(root=str(data))).inspection, Inspector().open(subject(root=str(data), limit=4))
    assert half.inspection.samples == len(half.samples) == 4
    assert sorted(sample.stratum for sample in half.samples) == ["0", "0", "1", "1"]
    assert half.inspection.data_digest != every.data_digest
    assert Inspector().open(subject(root=str(data), limit=10)).inspection.data_digest == every.data_digest


def test_preload_decides_what_memory_holds(subject: Callable[..., Trial], data: Path) -> None:
    held = {
        preload: Inspector().open(subject(root=str(data), preload=preload)).inspection.held_bytes
        for preload in ("none", "bytes", "decoded")
    }
    assert (held["none"], held["bytes"]) == (0, 55)
    assert held["decoded"] == pytest.approx(sum(sys.getsizeof("x" * (number + 1)) for number in range(10)), rel=0.2)


def test_paths_of_a_host_replace_options(subject: Callable[..., Trial], data: Path) -> None:
    trial = subject(root="/not/here", system={"paths": {"task.root": str(data)}})
    assert Inspector().open(trial).inspection.samples == 10
    for name in ("task.rot", "root"):
        with refused("unknown", f"system.paths.{name}"):
            options_here(subject(root="x", system={"paths": {name: "y"}}))


def test_words_are_no_paths_because_a_file_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.txt").touch()
    (tmp_path / "test").mkdir()
    options = {
        "split": "test",
        "root": "val",
        "also": "./test",
        "number": 3,
        "nothing": None,
        "long": "x" * 5000,
        "absent": "/nope/x",
    }
    assert path_options(options, [Path("val/a.txt")]) == {"root": str(tmp_path / "val"), "also": str(tmp_path / "test")}


def test_a_program_that_a_runtime_or_a_neighbour_needs_is_looked_for(subject: Callable[..., Trial]) -> None:
    runtime = RuntimeConfig(name="r", programs={"cpu": ("sh",), "cuda": ("no-such-program",)})
    check_runtime(runtime, "cpu")
    with refused("not_installed", "runtime", "r"):
        check_runtime(runtime, "cuda")
    beside = {"neighbour": NeighbourConfig(name="n", command=("no-such-program",), package="its-package")}
    assert "its-package" in Inspector().look(subject().model_copy(update=beside)).missing[-1]


@pytest.mark.parametrize(
    ("keys", "code", "key"),
    [
        ({"target": "Given", "samples": []}, "no_data", "task"),
        ({"target": "Given", "samples": [["a", 1], ["a", 2]]}, "invalid", "task"),
        ({"target": "Given", "samples": [["a", 3]], "classes": 3}, "invalid", "classes"),
        ({"target": "Given", "samples": [["a", [0, 5]]], "classes": 3}, "invalid", "classes"),
        ({"target": "Given", "samples": [["a", -1]], "classes": 3}, "invalid", "classes"),
        ({"target": "Given", "samples": [["a", 3]], "model": {"classes": 2}}, "invalid", "classes"),
        ({"target": "Given", "samples": 5}, "invalid", ""),
        ({"target": "Files", "root": "/no/such/folder"}, "unreadable", ""),
        ({"target": "Files", "root": 5}, "invalid", ""),
        ({"target": "Files", "rot": "x"}, "invalid", ""),
        ({"target": "Given", "samples": [["a", 1]], "model": {"path": "/no/weights"}}, "unreadable", ""),
    ],
)
def test_mistakes_are_refused(subject: Callable[..., Trial], keys: dict[str, Any], code: Any, key: str) -> None:
    with refused(code, key):
        Inspector().open(subject(**keys))


def test_references_that_are_no_class_indices_are_left_alone(subject: Callable[..., Trial]) -> None:
    samples = [["a", True], ["b", "9"], ["c", {"boxes": [9]}], ["d", None]]
    assert Inspector().open(subject("Given", samples=samples, classes=3)).inspection.samples == 4
