"""The base of all configuration."""

from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Frozen(BaseModel):
    """Base of all configuration: immutable, unknown keys refused. Text that reads as a number counts as one, as on a command line."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false, also in a list, where a number is wanted: Pydantic would take them for 1 and 0."""
        several = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(one, bool) for one in several) and _holds_numbers_alone(cls, str(info.field_name)):
            raise ValueError("must be a number, and true and false are none")
        return value


@lru_cache(maxsize=1024)
def _holds_numbers_alone(model: type[BaseModel], name: str) -> bool:
    """Return whether a key may hold a number and may not be true or false."""
    kinds = set(_kinds(model.model_fields[name].annotation))
    return bool(kinds & {int, float}) and not kinds & {bool, Any}


def _kinds(annotation: Any) -> list[Any]:
    """Return all types that an annotation names."""
    return [annotation, *(kind for part in get_args(annotation) for kind in _kinds(part))]
