import bz2
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from tasks import reviews
from tasks.ml_100k import Ml100k
from tasks.mmlu import Mmlu
from tasks.mmlu_dev import MmluDev
from tasks.movie_reviews import MovieReviews
from tasks.packages import locate
from tasks.prompts import Prompts
from tasks.recorded import Conversations, MooncakeTrace

LAW = '"Who may sue, and whom?",nobody,"a, b",everybody,the king,B\n"Is ""no"" a word?",yes,no,maybe,never,A\n'


ART = "Which is a colour?,red,seven,loud,Tuesday,A\n"


EXAMPLES = "First?,a,b,c,d,D\nSecond?,e,f,g,h,C\n"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Return a folder in the form that MMLU is published in."""
    for name, content in {
        "test/law_test.csv": LAW,
        "test/abstract_art_test.csv": ART,
        "dev/law_dev.csv": EXAMPLES,
        "dev/abstract_art_dev.csv": EXAMPLES,
        "val/law_val.csv": ART,
        "README.txt": "hello",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_a_folder_in_the_published_form_is_read(published: Path) -> None:
    task = Mmlu(str(published))
    task.check()
    samples = task.samples()
    assert [(sample.name, sample.reference) for sample in samples] == [("abstract_art-0001", "A"), ("law-0001", "B"), ("law-0002", "A")]
    assert [sample.stratum for sample in samples] == ["abstract_art", "law", "law"]
    assert [sample.slices["subject"] for sample in samples] == [sample.stratum for sample in samples]
    assert samples[0].slices["length"] == "5-8"  # four words and four choices
    assert [sample.slices for sample in Mmlu(str(published), shots=2).samples()] == [sample.slices for sample in samples]
    assert task.decode(samples[0].read()) == (
        "The following are multiple choice questions (with answers) about  abstract art.\n\n"
        "Which is a colour?\nA. red\nB. seven\nC. loud\nD. Tuesday\nAnswer:"
    )
    assert 'Is "no" a word?\nA. yes' in task.decode(samples[2].read())


@pytest.mark.parametrize(
    ("table", "row", "code", "value"),
    [
        (LAW + "Which?,a,b,c,d,e,A\n", 3, "invalid", None),
        (LAW + "Which?,a,b,c,A\n", 3, "invalid", None),
        (LAW + "Which?,a,b,c,d,E\n", 3, "invalid", "E"),
        (LAW + '" ",a,b,c,d,A\n', 3, "invalid", None),
        (LAW + '"Which?,a,b,c,d,A\n', 3, "damaged", None),
        (LAW + "\udcff\udcfe,a,b,c,d,A\n", 1, "damaged", None),
    ],
)
def test_a_bad_row_is_refused(published: Path, table: str, row: int, code: Any, value: Any) -> None:
    path = published / "test" / "law_test.csv"
    path.write_bytes(table.encode(errors="surrogateescape"))
    with refused(code, value=value) as caught:
        Mmlu(str(published)).check()
    assert str(caught.value).startswith(f"{path} row {row}: ")
    path.write_text("")
    with refused("no_data"):
        Mmlu(str(published)).check()


def test_missing_examples_are_refused(published: Path) -> None:
    for shots, code in ((-1, "invalid"), (True, "invalid"), (1.5, "invalid"), (3, "invalid"), (1, "not_found")):
        if code == "not_found":
            (published / "dev" / "law_dev.csv").unlink()
        with refused(code, "task.shots", shots):
            Mmlu(str(published), shots).check()


@pytest.mark.parametrize(
    ("task", "code", "key"),
    [
        (Mmlu(None), "missing", "task.root"),
        (Mmlu("nowhere"), "not_found", "task.root"),
        (Mmlu(str(Path(__file__).parent)), "not_found", "task.root"),
        (Prompts(None), "missing", "task.path"),
        (Conversations(None), "missing", "task.file"),
        (Prompts("/nowhere/mine.jsonl"), "unreadable", "task.path"),
    ],
)
def test_a_folder_or_file_that_is_missing_or_not_named_is_refused(task: Any, code: Any, key: str) -> None:
    with refused(code, key):
        task.check()


def letters(text: str) -> Counter[str]:
    return Counter(re.findall(r"answer is \(([A-Z])\)", text))


@pytest.mark.slow
def test_the_package_s_questions_agree_with_its_other_file_of_them() -> None:
    """The package holds the same questions once more, as one prompt per subject."""
    task = MmluDev()
    task.check()
    samples = task.samples()
    assert len(samples) == 281
    (prompts,) = locate("lm-eval", "lm_eval/tasks/mmlu/flan_cot_fewshot/_cot_prompts.json")
    expected = {subject: letters(text) for subject, text in json.loads(prompts.read_text()).items()}
    assert expected["college_chemistry"].pop("E") == 1  # the question with five choices
    found: dict[str, Counter[str]] = {}
    for sample in samples:
        found.setdefault(sample.stratum, Counter())[sample.reference] += 1
    assert found == expected
    assert len(found) == 57
    assert {sample.slices["subject"] for sample in samples} == set(found)


@pytest.mark.parametrize(
    ("target", "module", "content"),
    [
        (MmluDev, "mmlu_dev", b"dataset_name: law\nfewshot_config: {samples: [{question: 'Who? 1. I 2. You', target: I}]}\n"),
        (MovieReviews, "reviews", b"no archive"),
        (MovieReviews, "reviews", bz2.compress(b"a,b\n1,2\n")),
        (MovieReviews, "reviews", bz2.compress(b"\xff\xfe")),
        (Ml100k, "ml_100k", b"user\tfilm\trating\tsecond\n1\tx\t3\t7\n"),
        (Ml100k, "ml_100k", b"user\tfilm\n1\t2\n"),
    ],
)
def test_a_package_of_another_form_is_refused(
    target: Any, module: str, content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (table := tmp_path / "mmlu_law.yaml").write_bytes(content)
    monkeypatch.setattr(f"tasks.{module}.locate", lambda package, pattern: [table])
    with refused("damaged", value=table):
        target().check()


def test_the_test_s_reviews_have_labels_and_texts() -> None:
    task = MovieReviews()
    task.check()
    samples = task.samples()
    assert Counter(sample.reference for sample in samples) == {"fresh": 1457, "rotten": 1122}
    assert all(sample.stratum == sample.slices["class"] == sample.reference for sample in samples)
    assert all(task.decode(sample.read()).strip() for sample in samples)


def test_training_and_test_share_no_film_and_no_text() -> None:
    training, test = reviews.reviews_for_training(), reviews.reviews_for_test()
    assert not {review.film for review in training} & {review.film for review in test}
    assert not {review.text for review in training} & {review.text for review in test}
    assert len(training) > 3 * len(test)


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


def test_prompts_of_a_trace_begin_alike_where_the_recorded_ones_did(tmp_path: Path) -> None:
    file, keys = tmp_path / "t.jsonl", ("timestamp", "input_length", "output_length", "hash_ids")
    lines = [(7, 1100, 3, [1, 2, 3]), (5, 1024, 50, [1, 2]), (9, 100_000, 9, list(range(196)))]
    file.write_text("\n".join(json.dumps(dict(zip(keys, line, strict=True))) for line in lines))
    samples = [*MooncakeTrace(str(file)).samples(), *MooncakeTrace(str(file), lines=1, input_tokens=600, output_tokens=20).samples()]
    assert samples[2].encoded_size() < 2000, "whole traces lie in memory without their texts"
    first, second, third, cut = prompts = [MooncakeTrace(None).decode(sample.read()) for sample in samples]
    assert [(len(prompt.split()), prompt.max_tokens) for prompt in prompts] == [(1024, 50), (1100, 3), (100_000, 9), (600, 20)]
    assert second.startswith(first)
    assert first.startswith(cut)
    assert third.split()[512:1536] == first.split() != third.split()[:1024]
    file.write_text(json.dumps(dict(zip(keys, (1, 600, 1, [1]), strict=True))))
    with refused("damaged", "task.file", file):
        MooncakeTrace(str(file)).check()


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
