"""What works beside the timed process while it measures: the block ``neighbour``."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from orchestrator.configuration.fields import Core, Frozen, Name
from orchestrator.configuration.server import LONGEST_TIMEOUT_S, Command, Setting, mistakes_of_names

ABSENT = "none"
# What every command may name: a folder for derived files, the number of the neighbour's cores, an empty folder of its own, the timed
# process's Python, and the trial of the second model.
KNOWN = ("cache", "cores", "folder", "python", "second")


class NeighbourConfig(Frozen):
    """A command that works beside the timed process during its visits, and is suspended between them."""

    name: Name = Field(ABSENT, description="name of the neighbour in results, and part of a trial's id; `none` starts nothing")
    command: Command | None = Field(None, description="program and arguments, in which names in braces are replaced by values")
    cores: Literal["same", "beside"] | tuple[Core, ...] | None = Field(
        None, description="its cores: `same`, the system's; `beside`, all that system and server leave; or a list. Null takes `beside`"
    )
    settings: dict[Setting, bool | int | float | str] = Field(
        {}, description="values for its command, part of a trial's id and axes of a sweep"
    )
    second: dict[str, dict[str, Any]] = Field(
        {}, exclude_if=lambda second: not second, description="`model`, `task` and `runtime` of a second model: `{second}`"
    )
    package: Name | None = Field(None, description="Debian's package with the program, named where that is missing")
    ready: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="text in its output that says that it works; null: from its start"
    )
    ready_s: float = Field(60.0, gt=0, le=LONGEST_TIMEOUT_S, description="time that it may take until it works")

    @property
    def is_started(self) -> bool:
        return self.name != ABSENT

    @property
    def words(self) -> str:
        """The neighbour as a reader meets it: ``no neighbour``, ``cpu on the same cores``, ``io beside``, ``cpu on cores [0]``."""
        place = f"on cores {[*self.cores]}" if isinstance(self.cores, tuple) else self.cores or "beside"
        return f"{self.name} {place.replace('same', 'on the same cores')}" if self.is_started else "no neighbour"

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        key = min(self.changed(), default="")
        return self.sound(
            (not self.is_started and key, f"{key} has no effect under neighbour=none; choose neighbour=cpu, memory, cache, io or model"),
            (self.is_started and self.command is None, f"neighbour.name={self.name} has no command; add neighbour.command=[PROGRAM]"),
            *mistakes_of_names("neighbour", self.command or (), self.settings, KNOWN),
        )
