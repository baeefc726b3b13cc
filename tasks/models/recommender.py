"""Recommenders of films: the ten that a user of ``ml_100k`` most likely rates next."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from orchestrator.contracts import LoadContext, LoadedModel
from tasks.ml_100k import FILE, PACKAGE, histories
from tasks.models import recommender_network
from tasks.models.checkpoint import check_checkpoint, load_strictly, read_checkpoint
from tasks.models.classifier import Classifier, likeliest
from tasks.packages import ASSETS, VISION, Need, locate, require_modules
from tasks.runtimes.session import open_session
from tasks.training import recommenders

NEEDS = (
    Need("matrix_factorisation, two_tower", PACKAGE, "ratings to train on", ASSETS),
    Need("matrix_factorisation, two_tower", "safetensors", "weights", VISION),
)


class Recommender:
    """``tower`` chooses the network; ``path`` is a state dict of your own instead of weights that first use trains."""

    def __init__(self, tower: bool, path: str | None = None) -> None:
        self._tower = tower
        self._path = Path(path).expanduser() if path else None

    def check(self) -> None:
        """Raise InputError for missing packages and files."""
        require_modules(("torch", "safetensors"), "a recommender")
        check_checkpoint(*self.files())

    def files(self) -> Sequence[Path]:
        """Return the file with the weights, or the ratings that decide them."""
        return [self._path] if self._path else locate(PACKAGE, FILE)

    def load(self, context: LoadContext) -> LoadedModel:
        """Load the weights, trained and kept in the cache folder where there are none, and open a session."""
        path = self._path or self._trained(context.cache_dir / "recommenders")
        network = recommender_network.build_recommender(self._tower)
        load_strictly(network, read_checkpoint(path), "this recommender", f"model.path={path}")
        session = open_session(context, network, recommender_network.recency([range(1, 101)] * context.batch))
        return FilmRanker(session, recommender_network.recency, session.facts)

    def _trained(self, folder: Path) -> Path:
        decisive = (*self.files(), Path(recommenders.__file__), Path(recommender_network.__file__))
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in decisive)).hexdigest()
        path = folder / f"{digest[:16]}-{'tower' if self._tower else 'factors'}.safetensors"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            weights = recommenders.train(self._tower, [films[:-1] for films in histories()])
            with tempfile.TemporaryDirectory(prefix=".train-", dir=folder) as fresh:
                resolve_name("safetensors.torch:save_file")(weights, Path(fresh, path.name))
                Path(fresh, path.name).replace(path)  # another process at the same time writes the same
        return path


class FilmRanker(Classifier):
    """A session between the films that users have rated and the ten of the others that score highest, the highest first."""

    def input_size(self, sample: Any) -> int:
        """Return the number of films rated."""
        return len(sample)

    def postprocess(self, outputs: Any) -> list[list[int]]:
        """Return the ten films of each user."""
        return [[index + 1 for index in ranking] for ranking in likeliest(self._download(outputs), answers=10)]
