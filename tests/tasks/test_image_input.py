import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.models.image_input import ImageInput, resized


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(101, 77), (77, 101), (64, 64), (33, 300), (40, 40)])
def test_pictures_are_prepared_as_torchvision_prepares_them(interpolation: str, size: tuple[int, int]) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms._presets import ImageClassification

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    preset = ImageClassification(crop_size=33, resize_size=40, mean=mean, std=std, interpolation=InterpolationMode(interpolation))
    ours = ImageInput(33, 40, interpolation, tuple(255 * value for value in mean), tuple(255 * value for value in std))
    picture = noise(*size)
    array = ours.array([picture])
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, preset(picture).numpy()[None], atol=2e-6, rtol=1e-6)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 600))
def test_resizing_agrees_with_torchvision_and_keeps_the_shape(width: int, height: int, shorter: int) -> None:
    from torchvision.transforms.functional import _compute_resized_output_size

    expected_height, expected_width = _compute_resized_output_size((height, width), [shorter])
    assert resized(width, height, shorter) == (expected_width, expected_height)
    assert min(resized(width, height, shorter)) == shorter
