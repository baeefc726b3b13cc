import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import save_picture
from PIL import Image
from refusals import refused

from tasks.imagenet import ImageNet
from tasks.pictures import check_picture, decode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_picture(tmp_path / "a.jpg")
    save_picture(tmp_path / "sub" / "b.png")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    table = folder / "labels.csv"
    table.write_bytes(text.encode())
    return table


def test_a_label_file_gives_samples_in_its_order(folder: Path) -> None:
    write(folder, "class_name,class_index,file, weather ,\ncrane,2,sub/b.png,rain,x\ntench,0,./a.jpg,,y\n")
    task = ImageNet(str(folder), class_count=3)
    task.check()
    crane, tench = task.samples()
    assert (crane.name, crane.reference, crane.stratum, crane.slices) == ("sub/b.png", 2, "2", {"class": "crane", "weather": "rain"})
    assert tench.slices == {"class": "tench"}
    assert (tench.name, tench.reference, tench.path) == ("a.jpg", 0, folder / "a.jpg")
    assert task.decode(crane.read()).size == (24, 16)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_files_as_spreadsheets_save_them_are_read(folder: Path, encoding: str, newline: str) -> None:
    rows = ("file,class_index,class_name", "a.jpg,0,tench", "sub/b.png,2,crane", "")
    (folder / "labels.csv").write_bytes(newline.join(rows).encode(encoding))
    assert [sample.reference for sample in ImageNet(str(folder), 3).samples()] == [0, 2]


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("file,class_index,class\na.jpg,1,bird\nsub/b.png,2,\n", ["bird", "2"]),  # a column of the user's own
        ("file,class_index\na.jpg,1\n", ["1"]),
        ("file,class_index,class_name\na.jpg,1,crane\nsub/b.png,2,crane\n", ["crane (1)", "crane (2)"]),
    ],
)
def test_classes_are_named(folder: Path, text: str, classes: list[str]) -> None:
    write(folder, text)
    assert [sample.slices["class"] for sample in ImageNet(str(folder), 3).samples()] == classes


@pytest.mark.parametrize(
    ("text", "line", "code", "key", "value"),
    [
        ("file,label\na.jpg,0\n", 1, "missing", "class_index", None),
        ("file;class_index\na.jpg;0\n", 1, "missing", "file", None),
        ("", 1, "missing", "file", None),
        ("file,class_index\na.jpg,0\nnot_there.jpg,1\n", 3, "not_found", "file", "not_there.jpg"),
        ("file,class_index\nsub,1\n", 2, "not_found", "file", "sub"),
        ("file,class_index,file\na.jpg,0,b.jpg\n", 1, "invalid", "file", None),
        ("file,class_index\na.jpg,zero\n", 2, "invalid", "class_index", "zero"),
        ("file,class_index\na.jpg,\u00b2\n", 2, "invalid", "class_index", "\u00b2"),
        ("file,class_index\na.jpg\n", 2, "invalid", "class_index", ""),
        ("file,class_index\na.jpg,3\n", 2, "invalid", "class_index", "3"),
        ("file,class_index\na.jpg,-1\n", 2, "invalid", "class_index", "-1"),
        ("file,class_index\na.jpg,0\n./a.jpg,1\n", 3, "invalid", "file", "a.jpg"),
        ("file,class_index\n/etc/hostname,0\n", 2, "invalid", "file", "/etc/hostname"),
        ("file,class_index\nsub/../a.jpg,0\n", 2, "invalid", "file", "sub/../a.jpg"),
        ("file,class_index\na.jpg,0,rest\n", 2, "invalid", "", ["rest"]),
        ("file,class_index,class_name\na.jpg,1,x\nsub/b.png,1,y\n", 3, "invalid", "class_name", "y"),
        ('file,class_index\n"a.jpg,0\n', 2, "damaged", "", None),
    ],
)
def test_a_bad_row_is_refused_by_its_line_key_and_value(folder: Path, text: str, line: int, code: Any, key: str, value: Any) -> None:
    table = write(folder, text)
    with refused(code, key, value) as caught:
        ImageNet(str(folder), 3).check()
    assert str(caught.value).startswith(f"{table} line {line}: ")


@pytest.mark.parametrize(
    ("table", "code"), [("file,class_index\nä.jpg,0\n".encode("latin-1"), "damaged"), (b"file,class_index\n", "no_data")]
)
def test_a_table_that_cannot_be_read_is_refused(folder: Path, table: bytes, code: Any) -> None:
    (folder / "labels.csv").write_bytes(table)
    with refused(code):
        ImageNet(str(folder), 3).check()


@pytest.mark.slow
def test_class_folders_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.jpg", "a/deep/9.JPEG", "a/10.png", "c/x.bmp", "c/deeper/still/y.webp"):
        save_picture(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchvision.datasets import ImageFolder

    expected = [(str(Path(path).relative_to(tmp_path)), index) for path, index in ImageFolder(str(tmp_path)).samples]
    samples = ImageNet(str(tmp_path), 3).samples()
    assert [(sample.name, sample.reference) for sample in samples] == expected
    assert {sample.slices["class"] for sample in samples} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("files", "root", "classes", "code", "key"),
    [
        ((), None, 3, "missing", "task.root"),
        ((), "not_there", 3, "not_found", "task.root"),
        ((), ".", 3, "not_found", "task.root"),
        (("a/notes.txt",), ".", 1, "no_data", "task.root"),
        (("n01440764/1.png",), ".", 1000, "invalid", "task.classes"),
    ],
)
def test_a_root_of_another_form_is_refused(
    files: tuple[str, ...], root: str | None, classes: int, code: Any, key: str, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with refused(code, key):
        ImageNet(str(tmp_path / root) if root else root, classes).check()


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tiff", "ppm"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = save_picture(tmp_path / f"picture.{suffix}", size=(160, 120))
    check_picture(path)
    whole = path.read_bytes()
    for share in (0.0, 0.05, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with refused("damaged", value=path):
            check_picture(path)


def test_a_thumbnail_s_end_marker_does_not_pass_for_the_picture_s(tmp_path: Path) -> None:
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
