"""Files of other programs become campaigns, and campaigns become files for other programs."""

from pathlib import Path
from pkgutil import iter_modules


def import_formats() -> list[str]:
    """Return the names of the formats that can be imported: one module each in ``formats/``, which is not loaded."""
    return sorted(module.name for module in iter_modules([str(Path(__file__).parent / "formats")]))
