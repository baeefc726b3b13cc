"""The task ``mmlu``: multiple choice questions in a folder of the user's own, in the form that MMLU is published in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.contracts import InputError, Sample
from tasks.packages import USER, Need
from tasks.question_table import read_questions
from tasks.questions import CHOICES_OF_LETTERS, Question, question_samples

NEEDS = (Need("task mmlu", "your folder: task.root", "questions", USER),)
SPLITS = ("test", "val", "dev")
GAP = "  "


class Mmlu:
    """``root`` holds ``test/<subject>_test.csv`` and so on for ``val`` and ``dev``, or all these files side by side.

    The questions are those of ``split``. Before each stand the first ``shots`` questions of the subject's development file, answered.
    """

    metrics: Sequence[str] = ("accuracy", "subject_accuracy")

    def __init__(self, root: str | None, shots: int = 0, split: str = "test") -> None:
        self._root = root
        self._split = split
        self._shots = shots

    def check(self) -> None:
        """Raise InputError for the first bad row, a missing file, or too few examples."""
        self.samples()

    def samples(self) -> Sequence[Sample]:
        """Return the questions, sorted by subject, in the order of the files."""
        root = self._folder()
        ending = f"_{self._split}.csv"
        tables = folder_of(root, self._split).glob(f"*{ending}")
        subjects = {table.name.removesuffix(ending): table for table in tables}
        if not subjects:
            raise InputError(
                f"task.root={root} holds no {self._split}/<subject>{ending} and no <subject>{ending}; set it to the folder with these "
                "files, or set another task.split",
                "not_found",
                "task.root",
                root,
            )
        return [
            sample
            for subject, table in sorted(subjects.items())
            for sample in question_samples(subject, read_questions(table), self._examples(root, subject), GAP)
        ]

    def decode(self, encoded: bytes) -> str:
        """Return the question and its choices, with the examples before it."""
        return encoded.decode()

    def answer(self, text: str) -> str | None:
        """Return the letter that an answer in words names, None where it names none, or several."""
        return CHOICES_OF_LETTERS.named(text)

    def _examples(self, root: Path, subject: str) -> Sequence[Question]:
        if not self._shots:
            return ()
        table = folder_of(root, "dev") / f"{subject}_dev.csv"
        if not table.is_file():
            raise InputError(
                f"task.shots={self._shots} needs the examples in {table}, which is not a file; add it or set task.shots=0",
                "not_found",
                "task.shots",
                self._shots,
            )
        examples = read_questions(table)
        if len(examples) < self._shots:
            raise InputError(
                f"task.shots={self._shots}, but {table} holds {len(examples)} examples; set task.shots={len(examples)} or less",
                key="task.shots",
                value=self._shots,
            )
        return examples[: self._shots]

    def _folder(self) -> Path:
        if isinstance(self._shots, bool) or not isinstance(self._shots, int) or self._shots < 0:
            raise InputError(f"task.shots={self._shots} must be a whole number from 0 on; correct it", key="task.shots", value=self._shots)
        if self._split not in SPLITS:
            raise InputError(
                f"task.split={self._split} must be one of: {', '.join(SPLITS)}; correct it", "unknown", "task.split", self._split
            )
        if self._split == "dev" and self._shots:
            raise InputError(
                f"task.shots={self._shots}: the examples of task.split=dev would be its own questions; set task.shots=0 or another "
                "task.split",
                "conflict",
                "task.shots",
                self._shots,
            )
        if not self._root:
            raise InputError("task.root is not set and must name the folder with the questions; add task.root=DIR", "missing", "task.root")
        root = Path(self._root).expanduser()
        if not root.is_dir():
            raise InputError(f"task.root={root} is not a folder; set it to the folder with the questions", "not_found", "task.root", root)
        return root


def folder_of(root: Path, part: str) -> Path:
    """Return where the files of a part lie: in a folder of its name, or else in the root itself."""
    return root / part if (root / part).is_dir() else root
