"""Weights of the recommenders. The ratings' licence leaves open whether such weights may be redistributed: first use trains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.models.recommender_network import WIDTH, build_recommender, recency

# Chosen for the ratings before the last, where the last ones are not known.
SCALE = 6.0  # of vectors, so that differences of scores are those of log-likelihoods
LATEST = 40  # ratings of each user that the tower learns to foretell
BATCH = 128
HIGHEST_RATE = 3e-3


def train(tower: bool, histories: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return the weights of a recommender for users who have rated these films; in seconds, from one seed on one thread.

    Vectors are the first singular vectors of who has rated what (PureSVD: Cremonesi et al., "Performance of Recommender Algorithms on Top-N
    Recommendation Tasks", RecSys 2010). The tower starts as the same sum, since relu(x) - relu(-x) = x. Then it sees each user's latest
    histories once, and raises the score of the film that comes next above those of all films not rated before.
    """
    import torch

    torch.set_num_threads(1)  # more would add in another order
    singular = np.linalg.svd(np.sign(recency(histories)), full_matrices=False)[2][:WIDTH]
    vectors = torch.from_numpy(SCALE * singular)
    weights = {"user.0.weight": vectors, "films.weight": vectors.T.contiguous()}
    if not tower:
        return weights
    network, same = build_recommender(tower), torch.eye(WIDTH)
    network.load_state_dict(weights | {"user.0.weight": torch.cat([vectors, -vectors]), "user.2.weight": torch.cat([same, -same], dim=1)})
    examples = [films[: place + 1] for films in histories for place in range(max(1, len(films) - LATEST), len(films))]
    batches = np.array_split(np.random.default_rng(0).permutation(len(examples)), len(examples) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=HIGHEST_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=len(batches))
    for batch in batches:
        chosen = [examples[index] for index in batch]
        known, to_find = recency([films[:-1] for films in chosen]), torch.tensor([films[-1] - 1 for films in chosen])
        loss: Any = torch.nn.functional.cross_entropy(network(torch.from_numpy(known)), to_find)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return dict(network.state_dict())
