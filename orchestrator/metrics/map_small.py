from __future__ import annotations

from orchestrator.metrics.detection import KINDS, SMALL, JudgedDetections, judge_detections
from orchestrator.metrics.interface import Answers


class MapSmall:
    """COCO's mean average precision of small objects, up to 32 x 32 pixels: mean over IoU 0.50, 0.55, ..., 0.95.

    Boxes and curve are those of `detection.mean_average_precision_curve`.
    """

    name = "map_small"
    kinds: tuple[str, ...] = KINDS

    def judge(self, answers: Answers) -> JudgedDetections:
        """Match predictions with references. Raises InputError as `detection.judge_detections` does."""
        return judge_detections(answers, areas=SMALL)
