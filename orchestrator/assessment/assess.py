"""Hold requirements against stored campaigns."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.assessment.requirements import Requirements
from orchestrator.assessment.subjects import Session
from orchestrator.assessment.verdicts import Assessment


def assess(requirements: Requirements, sessions: Sequence[Session]) -> Assessment:
    """Return the verdict on every requirement; equal files, settings and seed give equal assessments."""
    raise NotImplementedError
