import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from lazily import Lazily
from PIL import Image

from tasks.boxes import MOST_FOUND, best_of_overlapping, dense_predictions, intersection_over_union, objects_group, prediction
from tasks.models.classifier import likeliest
from tasks.models.image_input import ImageInput, resized

torch = Lazily("torch")


torchvision = Lazily("torchvision")


def random_boxes(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    low = chance.uniform(0, 60, (count, 2))
    corners = np.hstack([low, low + chance.uniform(1, 40, (count, 2))])
    return corners, chance.permutation(count) / count, chance.integers(0, 3, count)


@pytest.mark.slow
@pytest.mark.parametrize("most_overlap", [0.0, 0.3, 0.6, 1.0])
def test_overlaps_and_the_boxes_that_remain_are_torchvision_s(most_overlap: float) -> None:
    corners, scores, labels = random_boxes(round(10 * most_overlap), 90)
    tensors = [torch.from_numpy(array) for array in (corners, scores, labels)]
    overlaps = torchvision.ops.box_iou(tensors[0][:1], tensors[0])[0].numpy()
    assert intersection_over_union(corners[0], corners) == pytest.approx(overlaps)
    expected = torchvision.ops.batched_nms(*tensors, most_overlap).tolist()
    assert best_of_overlapping(corners, scores, labels, most_overlap).tolist() == expected


def test_at_most_a_hundred_remain_the_best_first() -> None:
    corners, scores, _ = random_boxes(1, 300)
    found = best_of_overlapping(corners, scores, np.arange(300), 0.5)
    assert found.tolist() == np.argsort(-scores)[:MOST_FOUND].tolist()


def test_empty_boxes_overlap_nothing_and_of_none_no_box_remains() -> None:
    empty = np.array([3.0, 3.0, 3.0, 3.0])
    assert intersection_over_union(empty, np.array([[3.0, 3.0, 3.0, 3.0], [0, 0, 9, 9]])).tolist() == [0, 0]
    assert dense_predictions(np.zeros((4, 4)), np.zeros((4, 2)), [1, 2], 0.05, 0.5, (9, 9)) == {"boxes": [], "labels": [], "scores": []}


def test_boxes_are_cut_at_the_picture_s_edges() -> None:
    corners = np.array([[-5, 2, 30, 12], [4, 5, 6, 8], [50, 50, 60, 60]], dtype=np.float32)
    answer = prediction(corners, np.array([0.5, 0.25, 0.125], dtype=np.float32), np.array([7, 8, 9]), (20, 10))
    assert answer == {"boxes": [[0, 2, 20, 8], [4, 5, 2, 3], [20, 10, 0, 0]], "labels": [7, 8, 9], "scores": [0.5, 0.25, 0.125]}
    assert [{type(value) for value in answer[name]} for name in ("labels", "scores")] == [{int}, {float}]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_an_error(value: float) -> None:
    for corner, score in ((value, 1.0), (1.0, value)):
        with pytest.raises(ArithmeticError):
            prediction(np.array([[0, 0, corner, 1.0]]), np.array([score]), np.ones(1), (9, 9))
    with pytest.raises(ArithmeticError, match="NaN"):
        likeliest(np.array([[0.0, np.nan]], dtype=np.float32))


def test_one_place_may_hold_boxes_of_two_classes() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [40, 40, 50, 50.0]])
    scores = np.array([[0.9, 0.6], [0.7, 0.01], [0.05, 0.5]])
    answer = dense_predictions(corners, scores, [11, 22], 0.05, 0.5, (100, 100))
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [40, 40, 10, 10]]
    assert answer == {"labels": [11, 22, 22], "scores": [0.9, 0.6, 0.5], "boxes": boxes}


def test_pictures_are_grouped_by_their_objects() -> None:
    assert [objects_group(count) for count in (0, 1, 4, 5, 60)] == ["none", "1-4", "1-4", "5+", "5+"]


@pytest.mark.slow
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(101, 77), (77, 101), (64, 64), (33, 300), (40, 40)])
def test_pictures_are_prepared_as_torchvision_prepares_them(interpolation: str, size: tuple[int, int]) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms._presets import ImageClassification  # what weights.transforms() makes; public with weights alone

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    preset = ImageClassification(crop_size=33, resize_size=40, mean=mean, std=std, interpolation=InterpolationMode(interpolation))
    ours = ImageInput(33, 40, interpolation, tuple(255 * value for value in mean), tuple(255 * value for value in std))
    picture = Image.fromarray(np.random.default_rng(size).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    array = ours.array([picture])
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, preset(picture).numpy()[None], atol=2e-6, rtol=1e-6)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 600))
def test_resizing_agrees_with_torchvision_and_keeps_the_shape(width: int, height: int, shorter: int) -> None:
    from torchvision.transforms.functional import _compute_resized_output_size  # the size without resizing: not public

    expected_height, expected_width = _compute_resized_output_size((height, width), [shorter])
    assert resized(width, height, shorter) == (expected_width, expected_height)
    assert min(resized(width, height, shorter)) == shorter


@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.one_of(st.integers(-2, 2).map(float), st.floats(width=32, allow_nan=False)),
    )
)
def test_the_five_largest_come_first_and_of_equals_the_lower_index(logits: np.ndarray) -> None:
    expected = [sorted(range(len(row)), key=lambda index, row=row: (-row[index], index))[:5] for row in logits]
    answers = likeliest(logits)
    assert answers == expected
    assert all(type(index) is int for row in answers for index in row)
