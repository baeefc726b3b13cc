import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers
from orchestrator.stats.tail_quality import quality_curve

TRUTH, WHOLE = bool | np.bool_, int | np.integer
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def check_one_form(
    labels: Sequence[Any], what: str, forms: Sequence[Any] = (str, WHOLE, TRUTH)
) -> None:
    """Refuse labels that can never be equal, and True and 1, which Python holds for equal."""
    alike = (
        all(
            isinstance(one, form) and (form is TRUTH or not isinstance(one, TRUTH))
            for one in labels
        )
        for form in forms
    )
    if not any(alike):
        types = ", ".join(sorted({type(label).__name__ for label in labels}))
        rule = (
            "all text, all whole numbers, or all true and false" if forms[1:] else "whole numbers"
        )
        raise InputError(f"{what} of types {types}: must be {rule}")


class Accuracy:
    """Share of right choices; None (no choice) is wrong.

    Predictions and references are one choice per sample, [S], all text (``A``), all whole numbers,
    or all true and false; scores are 0 or 1.

    Examples
    --------
    >>> Accuracy().score(Answers(predictions=["A", "C", None], references=["A", "B", "D"]))
    array([1., 0., 0.])
    """

    name = "accuracy"

    def score(self, answers: Answers) -> NDArray[np.float64]:
        choices = [choice for choice in answers.predictions if choice is not None]
        check_one_form([*choices, *answers.references], "choices and right answers")
        pairs = zip(answers.predictions, answers.references, strict=True)
        return np.array([choice == truth for choice, truth in pairs], dtype=np.float64)


class OnTime:
    """Share of answers in time, right or wrong, where nothing says what is right.

    Examples
    --------
    >>> OnTime().score(Answers(predictions=["Rome", None], references=[None, None]))
    array([1., 1.])
    """

    name = "on_time"

    def score(self, answers: Answers) -> NDArray[np.float64]:
        return np.ones(len(answers.predictions))


@dataclass(frozen=True)
class TopK:
    """Top-k accuracy: share of samples whose right class is among the ``k`` likeliest.

    Predictions are class ids by rank, [S, K] or S sequences of any lengths, the likeliest first;
    None or an empty one (the model failed) scores 0. References are class ids, [S]. For lists of
    recommended items with one right item each, this is the hit rate. ``discounted`` makes it
    NDCG: the right class at rank r, from 1, scores 1 / log2(r + 1).

    Examples
    --------
    >>> Top1().score(Answers(predictions=[[7, 2], [3, 7], []], references=[7, 7, 7]))
    array([1., 0., 0.])
    >>> TopK("ndcg_at_2", 2, discounted=True).score(Answers([[7, 2], [3, 7]], [7, 7])).round(3)
    array([1.   , 0.631])
    """

    name: str
    k: int
    discounted: bool = False

    def score(self, answers: Answers) -> NDArray[np.float64]:
        ranked = [() if ranking is None else ranking for ranking in answers.predictions]
        longest = max(map(len, ranked), default=0)
        if 0 < longest < self.k:
            raise InputError(
                f"top-{self.k} of predictions that rank {longest} classes: "
                f"the model must return at least {self.k}",
                value=longest,
            )
        check_one_form([*answers.references, *chain(*ranked)], "class ids", [WHOLE])
        gains = 1 / np.log2(np.arange(2, self.k + 2)) if self.discounted else np.ones(self.k)
        pairs = zip(([*ranks[: self.k]] for ranks in ranked), answers.references, strict=True)
        return np.array(
            [gains[top.index(truth)] if truth in top else 0 for top, truth in pairs], np.float64
        )


Top1, Top5 = partial(TopK, "top1", 1), partial(TopK, "top5", 5)
HitRateAt10, NdcgAt10 = partial(TopK, "hit_rate_at_10", 10), partial(TopK, "ndcg_at_10", 10, True)


class SubjectAccuracy:
    """Average over subjects of the share of right choices: every subject weighs alike.

    Written as a mean over samples, a right choice of subject g scores S / (G n_g), for G subjects
    of n_g samples each, and a wrong one 0. The subject is the sample's slice ``subject``; choices
    are those of `Accuracy`.

    Examples
    --------
    >>> slices = {"subject": ["law", "art", "art"]}
    >>> SubjectAccuracy().score(Answers(["A", "B", "C"], ["A", "B", "D"], slices))
    array([1.5 , 0.75, 0.  ])
    """

    name = "subject_accuracy"

    def score(self, answers: Answers) -> NDArray[np.float64]:
        subjects = answers.slices.get("subject", [None])
        if None in subjects:
            raise InputError(
                f"subject_accuracy of a task with slices {', '.join(answers.slices) or 'none'}: "
                "needs a slice 'subject' for every sample",
                "missing",
                "subject",
            )
        right = Accuracy().score(answers)
        _, subject, samples = np.unique(
            np.asarray(subjects, dtype=str), return_inverse=True, return_counts=True
        )
        return np.asarray(right * right.size / (samples.size * samples[subject]))


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation and articles.

    As in the evaluation of SQuAD 1.1 (Rajpurkar et al., arXiv 1606.05250; evaluate-v1.1.py).

    Examples
    --------
    >>> words_of("The Moon, of course!")
    ['moon', 'of', 'course']
    """
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


class ExactMatch:
    """Share of answers with the words of a right one.

    Predictions are texts or None (no answer), [S]; references are one right text a sample, or
    several, [S]; scores are 0 or 1.

    Examples
    --------
    >>> ExactMatch().score(Answers(["The moon.", "Mars", None], [["moon", "star"], "Venus", "Sun"]))
    array([1., 0., 0.])
    """

    name = "exact_match"

    def score(self, answers: Answers) -> NDArray[np.float64]:
        return np.array([said in rights for said, rights in _in_words(answers)], dtype=np.float64)


class WordF1:
    """Mean over samples of the F1 of words between the answer and the right one that fits best.

    Predictions and references are those of `ExactMatch`; scores lie between 0 and 1.

    Examples
    --------
    >>> WordF1().score(Answers(["in Paris, France", "Rome", None], ["Paris", ["Rome"], "Oslo"]))
    array([0.5, 1. , 0. ])
    """

    name = "word_f1"

    def score(self, answers: Answers) -> NDArray[np.float64]:
        return np.array(
            [max(_f1(said or [], one) for one in rights) for said, rights in _in_words(answers)]
        )


def _f1(said: list[str], right: list[str]) -> float:
    shared = (Counter(said) & Counter(right)).total()
    return 2 * shared / (len(said) + len(right)) if shared else 0.0


def _in_words(answers: Answers) -> Iterator[tuple[list[str] | None, list[list[str]]]]:
    for said, right in zip(answers.predictions, answers.references, strict=True):
        rights = list(right) if isinstance(right, list | tuple) else [right]
        texts = all(isinstance(text, str) for text in rights)
        if not rights or not texts or not isinstance(said, str | None):
            forms = ", ".join(sorted({type(value).__name__ for value in (said, *rights)}))
            raise InputError(
                f"an answer and right answers of types {forms}: must be text, "
                "at least one right answer each"
            )
        yield None if said is None else words_of(said), [words_of(text) for text in rights]


@dataclass(frozen=True)
class JudgedF1:
    """Which samples are answered right, [S], and for each class the samples answered by it.

    With each class comes how many samples it is the right one of.
    """

    right: NDArray[np.bool_]
    classes: Sequence[tuple[NDArray[np.intp], int]]

    def ideal(self) -> float:
        return float(self.curve(np.ones((1, self.right.size)), [1.0])[0, 0])

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        time = np.asarray(times)
        total = np.zeros((np.size(thresholds), len(time)))
        for own, to_find in self.classes:
            if own.size:
                of_class = time.take(own, axis=1)
                right = quality_curve(self.right[own], of_class, thresholds)
                named = quality_curve(np.ones(own.size), of_class, thresholds)
                right, named = np.rint(own.size * right), np.rint(own.size * named)
                # A class without samples and answers on time has no right ones either: 0 / 1.
                total += 2 * right / np.maximum(named + to_find, 1)
        return total / len(self.classes)


@dataclass(frozen=True)
class F1:
    """2 TP / (2 TP + FP + FN): the mean over classes (macro), or of all classes together (micro).

    Predictions are one class per sample, or classes by rank of which the first counts; None or an
    empty ranking is no answer. References are one class per sample. Classes are all text, all whole
    numbers, or all true and false; those count that are right or answered anywhere, and one without
    TP, FP and FN scores 0 (scikit-learn's default ``labels``, and ``zero_division=0``).

    A late sample has no answer: it is an FN of the right class and an FP of none, so that quality
    may fall when a wrong answer comes in time.

    Examples
    --------
    >>> answers = Answers(predictions=["a", "b", "b"], references=["a", "b", "a"])
    >>> F1Macro().judge(answers).curve([[10, 20, 30]], [10, 20, 30]).T.round(3)
    array([[0.333, 0.833, 0.667]])
    >>> F1Micro().judge(answers).curve([[10, 20, 30]], [10, 20, 30]).T.round(3)
    array([[0.5  , 0.8  , 0.667]])
    """

    name: str

    def judge(self, answers: Answers) -> JudgedF1:
        predictions, references = [*map(_first, answers.predictions)], [*answers.references]
        named = [label for label in predictions if label is not None] + references
        check_one_form(named, "predicted and right classes")
        number = {label: index for index, label in enumerate(sorted(set(named)))}
        predicted = np.array([number.get(label, -1) for label in predictions])
        reference = np.array([number[label] for label in references])
        right = predicted == reference
        if self.name == "f1_micro":
            return JudgedF1(right, [(np.flatnonzero(predicted >= 0), right.size)])
        samples = np.bincount(reference, minlength=len(number)).tolist()
        return JudgedF1(right, [(np.flatnonzero(predicted == c), n) for c, n in enumerate(samples)])


F1Macro, F1Micro = partial(F1, "f1_macro"), partial(F1, "f1_micro")


def _first(prediction: Any) -> Any:
    if isinstance(prediction, Sequence | np.ndarray) and not isinstance(prediction, str):
        return prediction[0] if len(prediction) else None
    return prediction
