"""Names that MLflow takes for parameters, metrics and experiments, made of any names."""

from __future__ import annotations

import hashlib
import re

LONGEST = 250
DIGEST = 12
ALLOWED = re.compile(r"[A-Za-z0-9_.: /-]+")
MADE = re.compile(rf"_[0-9a-f]{{{DIGEST}}}\Z")
NO_PART = ("", ".", "..")
"""Parts of a path that MLflow refuses between slashes."""


def mlflow_name(name: str) -> str:
    """Return the name itself where MLflow takes it, else what is left of it and a digest of the whole.

    Equal names give equal results in every run and campaign, and different names different ones: a name that looks as if it had been
    made here gets a digest too.
    """
    parts = name.split("/")
    if ALLOWED.fullmatch(name) and len(name) <= LONGEST and not set(parts) & set(NO_PART) and ".." not in name and not MADE.search(name):
        return name
    plain = "/".join("_" if part in NO_PART else re.sub(r"[^A-Za-z0-9_.: -]", "_", part) for part in parts).replace("..", "__")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
    return f"{plain[: LONGEST - DIGEST - 1]}_{digest}"
