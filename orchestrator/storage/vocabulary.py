"""The names that several rooms write and read: states of a trial, faults, causes of a loss, outcomes of a sample.

Each is a type, so that mypy refuses a name that no reader knows.
"""

from typing import Literal

State = Literal["planned", "running", "done", "failed", "interrupted", "infeasible"]
"""How far a trial has come."""
UNFINISHED: tuple[State, ...] = ("planned", "running", "interrupted")
"""What ``resume`` goes on with."""

Origin = Literal["measured", "imported"]
"""Where the times of a trial come from: a timed process of ours, or a file of another program."""

FaultName = Literal[
    "process killed",
    "process failed",
    "host lost",
    "ray lost",
    "hang",
    "out of memory",
    "load failed",
    "too many errors",
    "clock broken",
    "gpu error",
    "answers malformed",
    "server died",
]
"""What ended a process of a trial before its time."""

LossCause = Literal["process", "machine"]
"""What is to blame for a lost process: the model, or its host, link or cluster."""

Outcome = Literal["ok", "error", "timeout", "lost", "dropped"]
"""What became of one sample in one round; ``dropped`` is one that arrived under load and was never started."""

InFlight = Literal["error", "timeout"]
"""The outcome of the sample that a process was at when it ended."""
