import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from tasks.imagenet import ImageNet
from tasks.pictures import check_picture, decode

Save = Callable[..., Path]


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tiff", "ppm"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, save_picture: Save, suffix: str) -> None:
    path = save_picture(tmp_path / f"picture.{suffix}", size=(160, 120))
    check_picture(path)
    whole = path.read_bytes()
    for share in (0.0, 0.05, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with refused("damaged", value=path):
            check_picture(path)


def test_a_thumbnail_s_end_marker_does_not_pass_for_the_picture_s(tmp_path: Path, save_picture: Save) -> None:
    thumbnail = save_picture(tmp_path / "thumbnail.jpg").read_bytes()
    path = tmp_path / "a" / "picture.jpg"
    path.parent.mkdir()
    Image.effect_noise((160, 120), 60).convert("RGB").save(path, comment=thumbnail)
    ImageNet(str(tmp_path), 1).check()
    path.write_bytes(path.read_bytes()[:2000])
    with refused("damaged", value=path):
        ImageNet(str(tmp_path), 1).check()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    gradient = Image.linear_gradient("L").convert(mode)
    encoded = io.BytesIO()
    gradient.save(encoded, "TIFF")
    picture = decode(encoded.getvalue())
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), np.asarray(gradient.convert("RGB")))
