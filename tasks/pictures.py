"""Pictures as samples: decoding, and a cheap test for broken files."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.contracts import InputError, Sample
from tasks.labels import Label, class_names

if TYPE_CHECKING:
    from PIL.Image import Image

END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
"""The last bytes of a whole file, per format."""


def decode(encoded: bytes) -> Image:
    """Return the picture as RGB, fully decoded. Raises OSError for a broken one."""
    from PIL import Image

    picture = Image.open(io.BytesIO(encoded))
    picture.load()
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def picture_samples(labels: Sequence[Label]) -> list[Sample]:
    """Return one sample per labelled picture, in the order given; its own groups count before the class."""
    names = class_names(labels)
    return [
        Sample(
            name=label.file,
            reference=label.class_index,
            stratum=str(label.class_index),
            slices={"class": names[label.class_index], **label.groups},
            path=label.path,
        )
        for label in labels
    ]


def check_pictures(samples: Sequence[Sample]) -> None:
    """Raise InputError for the first picture that is broken."""
    for sample in samples:
        if sample.path is not None:
            check_picture(sample.path)


def check_picture(path: Path) -> None:
    """Raise InputError for a picture that is no picture or is cut short.

    The header is parsed and the format's end marker looked for. Where the marker is not at the very end (bytes may follow
    it, and some formats have none), the picture is decoded as a whole, which is slow and certain.
    """
    from PIL import Image

    try:
        with path.open("rb") as file:
            marker = END_MARKERS.get(Image.open(file).format or "")
            if marker is not None and _ends_with(file, marker):
                return
            file.seek(0)
            Image.open(file).load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).split(" <", maxsplit=1)[0]
        raise InputError(f"{path}: not a whole picture ({reason}); replace the file or remove it", "damaged", value=path) from error


def _ends_with(file: io.BufferedReader, marker: bytes) -> bool:
    file.seek(-len(marker), os.SEEK_END)
    return file.read() == marker
