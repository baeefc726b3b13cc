"""The YAML files of the groups as Hydra reads them: bounded in size, and equal texts parsed once."""

import copy
import io
from functools import lru_cache
from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigResult
from omegaconf import Container, OmegaConf
from yaml.reader import Reader

from orchestrator.configuration.plain_values import check_size
from orchestrator.contracts import InputError

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
        text = text_of(path)
        parsed = copy.deepcopy(_parsed(text, str(path)))
        return ConfigResult(self.provider, f"{SCHEME}://{self.path}", parsed, self._get_header_dict(text[:512]))


def text_of(path: Path) -> str:
    """Return the text of a YAML file. Raises InputError, with the line, for bytes that are no UTF-8 and characters that YAML has not."""
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: is not UTF-8 text ({error.reason}); save the file as UTF-8") from error
    strange = Reader.NON_PRINTABLE.search(text)
    if strange is not None:
        line = text[: strange.start()].count("\n") + 1
        raise InputError(f"{path}, line {line}: the character U+{ord(strange[0]):04X} is not allowed in YAML; remove it")
    return text


@lru_cache(maxsize=256)
def _parsed(text: str, name: str) -> Container:
    check_size(text, name)
    stream = io.StringIO(text)
    stream.name = name  # which a message about a mistake in it gives
    return OmegaConf.load(stream)


def url_of(folder: Path) -> str:
    """Return how Hydra's search path names a folder of such files."""
    return f"{SCHEME}://{folder}"
