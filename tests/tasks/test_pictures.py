from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from orchestrator.contracts import InputError
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


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_wherever_a_file_is_cut_the_check_says_whether_it_decodes(tmp_path: Path, save_picture: Save, suffix: str) -> None:
    path = save_picture(tmp_path / f"picture.{suffix}")
    whole = path.read_bytes()
    for size in range(0, len(whole), 9 if suffix == "jpg" else 1):
        path.write_bytes(whole[:size])
        assert succeeds(check_picture, path) == succeeds(decode, whole[:size]), size
    path.write_bytes(whole + b"\0\0 and more")  # which does no harm
    check_picture(path)


def succeeds(call: Callable[..., object], given: object) -> bool:
    try:
        call(given)
    except (InputError, OSError, SyntaxError, ValueError):
        return False
    return True


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
