"""COCO's six figures of detection. Boxes and curve are those of `detection.mean_average_precision_curve`."""

from __future__ import annotations

from orchestrator.metrics.detection import ALL_AREAS, IOU_THRESHOLDS, KINDS, LARGE, MEDIUM, SMALL, JudgedDetections, judge_detections
from orchestrator.metrics.interface import Answers


class Map:
    """COCO's mean average precision (AP): the mean over IoU thresholds 0.50, 0.55, ..., 0.95."""

    name = "map"
    kinds: tuple[str, ...] = KINDS
    iou_thresholds = IOU_THRESHOLDS
    areas = ALL_AREAS

    def judge(self, answers: Answers) -> JudgedDetections:
        """Match predictions with references. Raises InputError as `detection.judge_detections` does."""
        return judge_detections(answers, iou_thresholds=self.iou_thresholds, areas=self.areas)


class Map50(Map):
    """COCO's mean average precision at an IoU threshold of 0.50 (AP50)."""

    name = "map50"
    iou_thresholds = IOU_THRESHOLDS[:1]


class Map75(Map):
    """COCO's mean average precision at an IoU threshold of 0.75 (AP75)."""

    name = "map75"
    iou_thresholds = IOU_THRESHOLDS[5:6]


class MapSmall(Map):
    """COCO's mean average precision of small objects, up to 32 x 32 pixels: the mean over IoU thresholds 0.50 to 0.95."""

    name = "map_small"
    areas = SMALL


class MapMedium(Map):
    """COCO's mean average precision of medium objects, 32 x 32 to 96 x 96 pixels: the mean over IoU thresholds 0.50 to 0.95."""

    name = "map_medium"
    areas = MEDIUM


class MapLarge(Map):
    """COCO's mean average precision of large objects, from 96 x 96 pixels: the mean over IoU thresholds 0.50 to 0.95."""

    name = "map_large"
    areas = LARGE
