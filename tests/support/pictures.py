"""Small pictures in files."""

from pathlib import Path

from PIL import Image


def save_picture(path: Path, size: tuple[int, int] = (24, 16), mode: str = "RGB") -> Path:
    """Write a small picture and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize(size).convert(mode).save(path)
    return path
