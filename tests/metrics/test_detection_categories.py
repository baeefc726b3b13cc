from __future__ import annotations

import numpy as np

from orchestrator.metrics import Answers
from orchestrator.metrics.detection import names_other_categories

IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
"""COCO's 80 category ids."""


def pictures(called: dict[int, int], moved: float = 0.0) -> Answers:
    random = np.random.default_rng(2)
    references, predictions = [], []
    for _ in range(20):
        classes = random.integers(80, size=4)
        boxes = [[100.0 * place, 0.0, 60.0, 60.0] for place in range(4)]
        references.append({"boxes": boxes, "labels": [IDS[one] for one in classes]})
        found = [[x + moved, y, width, height] for x, y, width, height in boxes]
        predictions.append({"boxes": found, "labels": [called[int(one)] for one in classes], "scores": [0.9] * 4})
    return Answers(predictions=predictions, references=references)


def test_class_numbers_in_place_of_category_ids_are_found() -> None:
    assert names_other_categories(pictures({number: number for number in range(80)}))


def test_category_ids_are_right_and_so_is_a_bad_detector() -> None:
    right = dict(enumerate(IDS))
    assert not names_other_categories(pictures(right))
    assert not names_other_categories(pictures(right, moved=50.0))


def test_categories_that_no_reference_has_are_found_without_a_box_that_fits() -> None:
    assert names_other_categories(pictures({number: 1000 + number for number in range(80)}, moved=50.0))
