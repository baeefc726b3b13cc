"""The task ``movie_reviews``: whether a critic is for a film or against it."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.contracts import Sample, doubling_range
from tasks.packages import ASSETS, Need
from tasks.reviews import PACKAGE, reviews_for_test

NEEDS = (Need("task movie_reviews", PACKAGE, "reviews", ASSETS),)


class MovieReviews:
    """Reviews from Rotten Tomatoes, ``fresh`` or ``rotten``, of films that no model of this program was trained on."""

    metrics: Sequence[str] = ("accuracy", "f1_macro")

    def check(self) -> None:
        """Raise InputError where the package is missing or its file has another form."""
        self.samples()

    def samples(self) -> Sequence[Sample]:
        """Return the reviews of the test's films in the order of the file."""
        return [
            Sample(
                name=review.name,
                reference=review.label,
                stratum=review.label,
                slices={"class": review.label, "length": doubling_range(len(review.text.split()))},
                payload=review.text.encode(),
            )
            for review in reviews_for_test()
        ]

    def decode(self, encoded: bytes) -> str:
        """Return the review."""
        return encoded.decode()
