"""What Hydra, OmegaConf and the YAML reader raise, as one line that names the value and the remedy."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
    UnsupportedValueType,
)

from orchestrator.configuration.keys import (
    BLOCKS,
    nearest,
    nearest_key,
    schema_keys,
)
from orchestrator.configuration.plain_values import DEEPEST, PLAIN
from orchestrator.contracts import InputError, first_line

INTERPOLATIONS = "write ${oc.env:NAME} for a variable of the environment, ${KEY} for the value of another key, or a text without ${"
warnings.filterwarnings("ignore", message="In the sequence", module="omegaconf")  # ${oc.env:NAME,} has an empty text where NAME is missing
SHOWN = 80
"""Characters of a value that a message repeats."""


@contextmanager
def in_one_line(where: str = "a value") -> Iterator[None]:
    """Turn the exceptions of Hydra, OmegaConf and the YAML reader into an InputError, by their type.

    ``where`` names what is read. None of them says which value nests deeper than Python's stack.
    """
    try:
        yield
    except InputError:
        raise
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and error.filename is None:  # the current folder is gone, which is no mistake in a value
            raise
        message = _explain(error, where).encode(errors="backslashreplace").decode()  # half of a surrogate pair cannot be printed
        raise InputError(message) from error
    except RecursionError as error:
        raise InputError(f"{where}: is nested too deeply, or inside itself; a value may be nested {DEEPEST} deep") from error


def _explain(error: Exception, where: str) -> str:
    cause = error.__cause__
    if isinstance(error, OverrideParseException):
        detail = next(line for line in error.message.splitlines() if not line.startswith("Error parsing override"))
        return f"{error.override}: cannot be read ({detail}); write KEY=VALUE, or KEY=\"'VALUE'\" for special characters"
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return f"{group}={name}: no such {group}; {nearest(name, error.options)}"
    if isinstance(error, ConfigCompositionException) and isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _explain_unknown_key(str(cause.full_key), cause)
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException) and not str(error):
        return f"{where}: {_explain(cause, where)}"
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key}: has no value yet; add {error.full_key}=VALUE"
    if isinstance(error, UnsupportedValueType):
        return f"{error.full_key}: {first_line(error)}; write {PLAIN}"
    if isinstance(error, InterpolationResolutionError | UnsupportedInterpolationType) and error.full_key:
        said = first_line(error)
        ours = said.removeprefix("InputError raised while resolving interpolation: ")  # which has its remedy
        return f"{error.full_key}: {ours}" if ours != said else f"{error.full_key}: {said}; {INTERPOLATIONS}"
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {first_line(error)}"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: not valid YAML: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return f"{where}: is not UTF-8 text: {error}; save the file as UTF-8"
    return first_line(error) if isinstance(error, HydraException | OmegaConfBaseException) else f"{where}: {first_line(error)}"


def _explain_unknown_key(key: str, cause: OmegaConfBaseException) -> str:
    if key in BLOCKS:
        return f"no {key} was chosen: add {key}=NAME to the command line"
    block, _, _ = key.partition(".")
    parent = cause.parent_node
    beside = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    ours = schema_keys(block) if block in BLOCKS and key.count(".") == 1 else ()
    return f"{key}: no such key; {nearest_key(key, [*beside, *ours])}"
