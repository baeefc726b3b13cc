from __future__ import annotations

from orchestrator.metrics.detection import KINDS, MEDIUM, JudgedDetections, judge_detections
from orchestrator.metrics.interface import Answers


class MapMedium:
    """COCO's mean average precision of medium objects, 32 x 32 to 96 x 96 pixels: mean over IoU 0.50 to 0.95.

    Boxes and curve are those of `detection.mean_average_precision_curve`.
    """

    name = "map_medium"
    kinds: tuple[str, ...] = KINDS

    def judge(self, answers: Answers) -> JudgedDetections:
        """Match predictions with references. Raises InputError as `detection.judge_detections` does."""
        return judge_detections(answers, areas=MEDIUM)
