from pathlib import Path

import pytest
from refusals import refused

from tasks.prompts import Prompts


def test_prompts_are_read_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(
        '{"prompt": "Capital of Italy?", "answers": ["Rome", "Roma"], "name": "italy", "group": "maps"}\n\n{"prompt": "2 + 2?", "answers": "4"}\n'
    )
    task = Prompts(str(file))
    task.check()
    first, second = task.samples()
    assert (first.name, first.reference, first.slices, task.decode(first.read())) == (
        "italy",
        ["Rome", "Roma"],
        {"group": "maps"},
        "Capital of Italy?",
    )
    assert (second.name, second.reference, second.stratum) == ("prompt-00003", ["4"], "all")


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"prompt": "a"}', '{"prompt": "a", "answers": []}', '{"prompt": " ", "answers": ["b"]}', '{"prompt": "a", "answers": [1]}',
     '{"prompt": "a", "answers": 1}', '{"prompt": "a", "answers": ["b"], "nam": "c"}', '{"prompt": 1, "answers": ["b"]}'],
)  # fmt: skip
def test_a_bad_line_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "a", "answers": ["b"]}\n' + line + "\n")
    with refused("damaged" if line == "{" else "invalid") as caught:
        Prompts(str(file)).check()
    assert "mine.jsonl, line 2: " in str(caught.value)


def test_a_file_that_is_missing_or_not_named() -> None:
    with refused("missing", "task.path"):
        Prompts(None).check()
    with refused("unreadable", "task.path"):
        Prompts("/nowhere/mine.jsonl").check()
