"""The networks of recommenders: from the films that a user has rated to a score of every film."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.ml_100k import FILMS

WIDTH = 32  # numbers in the vector of a user, and of a film
RATED = -100.0  # the score of a film that the user has rated: below that of any other


def recency(histories: Sequence[Sequence[int]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return [users, films]: 1 for the film that was rated last, 1/2 for the one before it, 1/3 and so on; 0 for films not rated."""
    weights = np.zeros((len(histories), FILMS), dtype=np.float32)
    for row, films in zip(weights, histories, strict=True):
        row[np.subtract(films, 1)] = 1 / np.arange(len(films), 0, -1)
    return weights


def build_recommender(tower: bool) -> Any:
    """Return a network with random weights, from recency [users, films] to scores [users, films].

    A score is the product of the user's vector and the film's. The user's vector is a weighted sum of vectors of the films that the user
    has rated, or with ``tower`` the output of a network with one hidden layer.
    """
    from torch import nn

    class Recommender(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            hidden = [nn.Linear(FILMS, 2 * WIDTH, bias=False), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH, bias=False)]
            self.user = nn.Sequential(*hidden) if tower else nn.Sequential(nn.Linear(FILMS, WIDTH, bias=False))
            self.films = nn.Linear(WIDTH, FILMS, bias=False)

        def forward(self, recency: Any) -> Any:
            return self.films(self.user(recency)).masked_fill(recency > 0, RATED)

    return Recommender()
