"""Pictures with boxes to find, and what a detector finds in them."""

import numpy as np


def random_task(seed, pictures=12, classes=4, boxes=6, found=20, steps=None, crowds=0.0, with_areas=False):
    """Boxes of all sizes; detections near them, of right and wrong classes, among others anywhere; scores tie with few steps."""
    random = np.random.default_rng(seed)
    references, predictions = [], []
    for _ in range(pictures):
        count = int(random.integers(0, boxes + 1))
        sizes = np.exp(random.normal(4, 0.8, (count, 2)))
        truth = np.hstack([random.random((count, 2)) * 300, sizes])
        labels = random.integers(0, classes, count)
        reference = {"boxes": truth.tolist(), "labels": labels.tolist()}
        if with_areas:
            reference["areas"] = (truth[:, 2] * truth[:, 3] * random.uniform(0.3, 1, count)).tolist()
        if crowds:
            reference["crowd"] = (random.random(count) < crowds).astype(int).tolist()
        references.append(reference)

        near = np.repeat(np.arange(count), random.integers(0, 4, count))
        shift = random.normal(0, random.choice([0.02, 0.1, 0.2], (near.size, 1)), (near.size, 4))
        close = truth[near] + shift * truth[near][:, [2, 3, 2, 3]]
        anywhere = np.hstack([random.random((found, 2)) * 300, np.exp(random.normal(4, 1, (found, 2)))])
        right = np.where(random.random(near.size) < 0.8, labels[near], random.integers(0, classes + 2, near.size))
        scores = random.random(near.size + found)
        prediction = {
            "boxes": np.abs(np.vstack([close, anywhere])).tolist(),
            "labels": np.concatenate([right, random.integers(0, classes + 2, found)]).tolist(),
            "scores": (scores if steps is None else np.ceil(scores * steps) / steps).tolist(),
        }
        predictions.append(None if random.random() < 0.1 else prediction)
    return references, predictions
