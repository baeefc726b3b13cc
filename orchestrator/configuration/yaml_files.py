"""The YAML files of the groups as Hydra reads them: bounded in size, and equal texts parsed once."""

from __future__ import annotations

import copy
import io
from functools import lru_cache
from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigResult
from omegaconf import Container, OmegaConf

from orchestrator.configuration.plain_values import check_size

SCHEME = "bounded"


class BoundedFiles(FileConfigSource):
    """A folder of YAML files, each no larger than what people write by hand."""

    @staticmethod
    def scheme() -> str:
        """Return what precedes ``://`` in Hydra's search path."""
        return SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file. Hydra asks for the same files anew for every choice of groups, and changes what it is given: it gets a copy."""
        path = Path(self.path, self._normalize_file_name(config_path))
        if not path.is_file():
            return super().load_config(config_path)
        text = path.read_text(encoding="utf-8")
        parsed = copy.deepcopy(_parsed(text, str(path)))
        return ConfigResult(self.provider, f"{SCHEME}://{self.path}", parsed, self._get_header_dict(text[:512]))


@lru_cache(maxsize=256)
def _parsed(text: str, name: str) -> Container:
    check_size(text, name)
    stream = io.StringIO(text)
    stream.name = name  # which a message about a mistake in it gives
    return OmegaConf.load(stream)


def url_of(folder: Path) -> str:
    """Return how Hydra's search path names a folder of such files."""
    return f"{SCHEME}://{folder}"
