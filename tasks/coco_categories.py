"""The category ids of COCO's 80 classes, in the order in which detectors number them from 0."""

from __future__ import annotations

NEVER_USED = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
CATEGORY_IDS = tuple(category for category in range(1, 91) if category not in NEVER_USED)
