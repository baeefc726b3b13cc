from __future__ import annotations

from orchestrator.metrics.detection import IOU_THRESHOLDS, KINDS, JudgedDetections, judge_detections
from orchestrator.metrics.interface import Answers


class Map50:
    """COCO's mean average precision at an IoU threshold of 0.50 (AP50).

    Boxes and curve are those of `detection.mean_average_precision_curve`.
    """

    name = "map50"
    kinds: tuple[str, ...] = KINDS

    def judge(self, answers: Answers) -> JudgedDetections:
        """Match predictions with references. Raises InputError as `detection.judge_detections` does."""
        return judge_detections(answers, iou_thresholds=IOU_THRESHOLDS[:1])
