"""Where derived files are kept between campaigns."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Return the user's cache folder for exported graphs and digests."""
    return Path(platformdirs.user_cache_dir("tail-quality"))
