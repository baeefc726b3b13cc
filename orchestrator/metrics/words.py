from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation and articles.

    As in the evaluation of SQuAD 1.1 (Rajpurkar et al., arXiv 1606.05250; evaluate-v1.1.py).

    Examples
    --------
    >>> words_of("The Moon, of course!")
    ['moon', 'of', 'course']
    """
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def word_f1(said: Sequence[str], right: Sequence[str]) -> float:
    """Return the harmonic mean of precision and recall of words, each counted as often as it stands; 0 where none is shared.

    Examples
    --------
    >>> word_f1(["in", "paris", "france"], ["paris"])
    0.5
    """
    shared = (Counter(said) & Counter(right)).total()
    return 2 * shared / (len(said) + len(right)) if shared else 0.0


class ExactMatch:
    """Share of answers with the words of a right one: (1/S) sum over samples of [the answer is one of the right ones].

    Predictions are texts or None (no answer), [S]; references are one right text a sample, or several, [S]; scores are 0 or 1, [S].

    Examples
    --------
    >>> ExactMatch().score(Answers(predictions=["The moon.", "Mars", None], references=[["moon", "the Moon"], "Venus", "Sun"]))
    array([1., 0., 0.])
    """

    name = "exact_match"

    def score(self, answers: Answers) -> NDArray[float64]:
        """Return 1 for each answer that is right word for word, else 0. Raises InputError for what is no text."""
        return np.array([any(said == right for right in rights) for said, rights in _in_words(answers)], dtype=np.float64)


class WordF1:
    """Mean over samples of the F1 of words between the answer and the right one, of several the one that fits best.

    Predictions, references and errors are those of `ExactMatch`; scores lie between 0 and 1, [S].

    Examples
    --------
    >>> WordF1().score(Answers(predictions=["in Paris, France", "Rome", None], references=["Paris", ["Rome", "Roma"], "Oslo"]))
    array([0.5, 1. , 0. ])
    """

    name = "word_f1"

    def score(self, answers: Answers) -> NDArray[float64]:
        """Return the best F1 of each answer. Raises InputError for what is no text."""
        best = [0.0 if said is None else max(word_f1(said, right) for right in rights) for said, rights in _in_words(answers)]
        return np.array(best, dtype=np.float64)


def _in_words(answers: Answers) -> list[tuple[list[str] | None, list[list[str]]]]:
    """Return the words of each answer, None where there is none, and of each right one."""
    found = []
    for said, right in zip(answers.predictions, answers.references, strict=True):
        rights: list[Any] = [right] if isinstance(right, str) else [*right] if isinstance(right, list | tuple) else []
        if not rights or not all(isinstance(text, str) for text in rights) or not isinstance(said, str | None):
            forms = sorted({type(value).__name__ for value in (said, *rights)})
            raise InputError(f"an answer and right answers of types {', '.join(forms)}: must be text, at least one right answer each")
        found.append((None if said is None else words_of(said), [words_of(text) for text in rights]))
    return found
