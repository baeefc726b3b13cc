"""Which files a trial runs, read from their text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.subject.code_files import RUNS_EVERY_TRIAL, CodeFiles, imported_by_lines, read_imports

FILES = {
    "numbers_task.py": "import shared\nclass Numbers: ...\n",
    "shared.py": "def f():\n    from package.inner import x\n    return x\n",
    "package/__init__.py": "",
    "package/inner.py": "from . import sibling\nfrom .sibling import y as x\n",
    "package/sibling.py": "y = 1\n",
    "package/idle.py": "z = 1\n",
    "mine.py": "TABLE = {'fast': 'fast_way:Fast'}\nclass Mine: ...\n",
    "fast_way.py": "class Fast: ...\n",
    "other_model.py": "import heavy\nclass Other: ...\n",
    "heavy.py": "",
    "broken.py": "def (:\n",
}
RUN = {"numbers_task", "shared", "package", "package.inner", "package.sibling", "mine", "fast_way"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(text)
    return tmp_path / "code"


def trial(model: str = "mine:Mine", task: str = "numbers_task:Numbers") -> Trial:
    document: dict[str, Any] = {
        "model": {"name": "m", "kind": "k", "target": model, "runtimes": ["torch"]},
        "task": {"name": "t", "kind": "k", "target": task},
        "system": {"name": "cpu_all"},
        "runtime": {"name": "torch"},
        "measurement": {"rule": "settled"},
    }
    return parse_trial(document)


def of(folder: Path, *trials: Trial) -> dict[str, str]:
    return CodeFiles([str(folder)]).of_trials(trials)


def test_imports_anywhere_and_modules_named_in_strings_are_followed(folder: Path) -> None:
    found = of(folder, trial())
    own = {name for name in found if name.partition(".")[0] not in ("orchestrator", "tasks")}
    assert own == RUN
    assert set(RUNS_EVERY_TRIAL) <= found.keys()
    assert not any(name.startswith(("orchestrator.report", "orchestrator.commands", "tasks.")) for name in found)
    assert {"other_model", "heavy"} <= of(folder, trial(), trial("other_model:Other")).keys()


def test_files_that_changed_came_or_went_are_named_and_no_other(folder: Path) -> None:
    before = of(folder, trial(), trial("other_model:Other"))
    for idle in ("other_model.py", "package/idle.py", "broken.py"):
        (folder / idle).write_text("# changed\n")
    (folder / "new.py").write_text("")
    assert CodeFiles([str(folder)]).changed(trial(), before) == []
    (folder / "package" / "sibling.py").write_text("y = 2\n")
    (folder / "mine.py").write_text("import new\nclass Mine: ...\n")
    (folder / "shared.py").unlink()
    changed = CodeFiles([str(folder)]).changed(trial(), before)
    assert changed == [str(folder / "mine.py"), str(folder / "new.py"), "shared (gone)"]
    (folder / "shared.py").write_text(FILES["shared.py"])
    assert str(folder / "package" / "sibling.py") in CodeFiles([str(folder)]).changed(trial(), before)


def test_code_that_makes_up_names_of_modules_runs_all_of_the_users(folder: Path) -> None:
    (folder / "mine.py").write_text("import importlib\nclass Mine:\n    def load(self, n): return importlib.import_module('way_' + n)\n")
    own = {name for name in of(folder, trial()) if name.partition(".")[0] not in ("orchestrator", "tasks")}
    assert own == {name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in FILES}


def test_another_model_of_ours_does_not_count() -> None:
    words = ["model=efficientnet_lite0", "task=imagenet_samples", "system=cpu_all", "runtime=onnxruntime"]
    found = CodeFiles().of_trials([parse_trial(compose_trials(words).documents[0])])
    assert {
        "tasks.models.efficientnet_lite",
        "tasks.imagenet_samples",
        "tasks.runtimes.onnx_runtime",
        "orchestrator.stats.density",
    } <= found.keys()
    assert not {"tasks.models.nanodet", "tasks.mmlu", "orchestrator.report.result_tables", "orchestrator.stats.pair"} & found.keys()


@pytest.mark.slow
def test_import_statements_alone_tell_what_files_of_ours_import() -> None:
    package = Path(__file__).parents[2] / "orchestrator"
    files = sorted(package.rglob("*.py"))
    assert len(files) > 300
    for path in files:
        name = ".".join(path.parent.relative_to(package.parent).parts)
        text = path.read_text("utf-8")
        assert imported_by_lines(text, name) == read_imports(text.encode(), name).imported, path


def test_what_measuring_imports_is_found(tmp_path: Path) -> None:
    code = f"import sys, {', '.join(RUNS_EVERY_TRIAL)}; print(*sorted(n for n in sys.modules if n.partition('.')[0] == 'orchestrator'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=True)
    found = CodeFiles().of_trials([trial()])
    assert len(found) > 50
    assert set(done.stdout.split()) <= found.keys()


def test_what_a_started_server_runs_counts_too(folder: Path) -> None:
    document = trial().model_dump(mode="json")
    document["model"]["runtimes"], document["runtime"] = ["http_json"], {"name": "http_json", "asks_server": True}
    document["server"] = {
        "name": "s", "url": "http://127.0.0.1:0", "command": ["{python}", "-m", "heavy", "--target", "{target}"],
        "settings": {"target": "other_model:Other"},
    }  # fmt: skip
    files = CodeFiles([str(folder)]).of_trials([parse_trial(document)])
    assert {"heavy", "other_model"} | RUN <= set(files)
    assert not {"heavy", "other_model"} & set(CodeFiles([str(folder)]).of_trials([trial()]))
