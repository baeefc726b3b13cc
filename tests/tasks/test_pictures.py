from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.contracts import InputError
from tasks.imagenet import ImageNet
from tasks.pictures import check_picture, decode

Save = Callable[..., Path]
FORMATS = ("jpg", "png", "bmp", "webp", "tiff", "ppm")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_whole_picture_passes(tmp_path: Path, save_picture: Save, suffix: str) -> None:
    check_picture(save_picture(tmp_path / f"picture.{suffix}"))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.5, 0.9])
def test_a_picture_cut_short_is_named(tmp_path: Path, save_picture: Save, suffix: str, kept: float) -> None:
    path = save_picture(tmp_path / f"picture.{suffix}", size=(160, 120))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError) as caught:
        check_picture(path)
    assert str(caught.value).startswith(f"{path}: not a whole picture (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_wherever_a_file_is_cut_the_check_says_whether_it_decodes(tmp_path: Path, save_picture: Save, suffix: str) -> None:
    path = save_picture(tmp_path / f"picture.{suffix}")
    whole = path.read_bytes()
    passed = []
    for kept in range(0, len(whole) + 1, 3 if suffix == "jpg" else 1):
        path.write_bytes(whole[:kept])
        assert passes(path) == decodes(whole[:kept]), kept
        passed.append(passes(path))
    assert not all(passed)
    path.write_bytes(whole)
    assert passes(path)


def passes(path: Path) -> bool:
    try:
        check_picture(path)
    except InputError:
        return False
    return True


def decodes(encoded: bytes) -> bool:
    try:
        decode(encoded)
    except (OSError, SyntaxError, ValueError):
        return False
    return True


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_bytes_after_the_end_do_no_harm(tmp_path: Path, save_picture: Save, suffix: str) -> None:
    path = save_picture(tmp_path / f"picture.{suffix}")
    path.write_bytes(path.read_bytes() + b"\0\0 and more")
    check_picture(path)


def test_a_thumbnail_s_end_marker_does_not_pass_for_the_picture_s(tmp_path: Path, save_picture: Save) -> None:
    thumbnail = save_picture(tmp_path / "thumbnail.jpg").read_bytes()
    path = tmp_path / "picture.jpg"
    Image.effect_noise((160, 120), 60).convert("RGB").save(path, comment=thumbnail)
    check_picture(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="not a whole picture"):
        check_picture(path)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_text("<html>404 not found</html>")
    with pytest.raises(InputError, match=r"picture\.jpg: not a whole picture \(cannot identify image file\); replace"):
        check_picture(path)


def test_the_task_names_its_broken_picture(tmp_path: Path, save_picture: Save) -> None:
    save_picture(tmp_path / "a" / "1.jpg")
    broken = save_picture(tmp_path / "a" / "2.jpg")
    broken.write_bytes(broken.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"2\.jpg: not a whole picture"):
        ImageNet(str(tmp_path), 1).check()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    gradient = Image.linear_gradient("L").convert(mode)
    encoded = io.BytesIO()
    gradient.save(encoded, "TIFF")
    picture = decode(encoded.getvalue())
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), np.asarray(gradient.convert("RGB")))


def test_decoding_a_broken_picture_raises(tmp_path: Path, save_picture: Save) -> None:
    encoded = save_picture(tmp_path / "picture.png", size=(160, 120)).read_bytes()
    with pytest.raises(OSError, match="truncated"):
        decode(encoded[: len(encoded) // 2])
