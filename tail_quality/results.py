"""What was measured, as an object: figures by name, tables for a terminal, a page for a notebook; and an ordinary campaign on disk."""

import html
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.python_interface import Results
from orchestrator.analysis.quality import intervals
from orchestrator.analysis.ranking import rankings
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import of_visits, shift_of_visits
from orchestrator.assessment.kinds.means import TailQuality
from orchestrator.assessment.subjects import Measured, NotShown, Subject
from orchestrator.assessment.values import Time
from orchestrator.commands.reading import print_summary
from orchestrator.contracts import InputError, nearest
from orchestrator.report.html.page import render
from orchestrator.stats.constants import FEW_UNITS
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.pair import LEVEL, Difference
from orchestrator.stats.units import Floats
from orchestrator.storage.layout import LOCK, refuse_campaign_folder

COMPARED = "python_compare"  # the name of a campaign whose trials are compared with its first
LATENCY = "median latency (log ratio)"
CHANGING = "answers change from round to round, and only those of the first round are judged"


@dataclass(frozen=True)
class Verdict:
    """Whether quality within a deadline is at least what was asked.

    ``why`` says it in words; ``more_rounds`` would show it, if they are as those measured; None where that is not known.
    """

    outcome: Literal["met", "not met", "inconclusive"]
    why: str
    more_rounds: int | None


class Result(Results):
    """The stored results of a campaign; reading them needs neither the model nor the data nor the machine.

    Where several trials were measured, ``of`` names one by its model or its id. Raises InputError for a directory that holds no campaign, a
    damaged one, or one that a newer version wrote.

    Examples
    --------
    >>> import tail_quality as tq
    >>> result = tq.measure(abs, [-1, 2, -3], [1, 2, 3], deadline="1 s", rounds=2, say=None)
    >>> result.quality("1 s")
    1.0
    """

    def quality(self, deadline: str, of: str | None = None) -> float:
        """Return mean tail quality within a deadline, such as ``"20 ms"``."""
        return self._at(deadline, of)[0]

    def quality_interval(self, deadline: str, of: str | None = None) -> tuple[float, float]:
        """Return the limits of its 95 % interval, of rounds to come."""
        return self._at(deadline, of)[1]

    def latency(self, percentile: float, of: str | None = None) -> float:
        """Return a percentile of latency, in ms: of the total time, or under load of the response time.

        The result table of this name is ``table("latency")``.
        """
        data = self._data(of)
        return float(percentile_inverted_cdf(data.served(data.clock), percentile)) / 1e6

    def frame(self) -> Any:
        """Return the timings of all trials as a data frame of pandas, or else of polars."""
        parts = {data.trial_id: self.timings(data.trial_id) for data in self._trials}
        found = pa.concat_tables([part.add_column(0, "trial", pa.array([trial] * len(part))) for trial, part in parts.items()])
        if find_spec("pandas") is not None:
            return found.to_pandas()
        if find_spec("polars") is not None:
            return import_module("polars").from_arrow(found)
        raise InputError("a data frame needs pandas or polars, and neither is installed: install one", "not_installed")

    def verdict(self, deadline: str, at_least: float, of: str | None = None) -> Verdict:
        """Return whether quality within a deadline is at least so much, of rounds to come, with 95 % confidence."""
        data = self._data(of)
        if data.different_answers:
            return Verdict("inconclusive", CHANGING, None)
        try:
            found = TailQuality(threshold=f"{ns_of(deadline)} ns", at_least=float(at_least), of="absolute").judge(
                Subject(
                    data.record.match_key,
                    tuple(Measured(data.record, group, data) for group in self.analysed.groups if data.trial_id in group.flags),
                ),
                LEVEL,
            )
        except NotShown as error:  # of answers that are all wrong, for one
            return Verdict("not met" if data.judged(data.metric).ideal() < at_least else "inconclusive", str(error), None)
        why = ": ".join(filter(None, (found.said, found.missing)))
        if found.verdict != "not shown":
            return Verdict(found.verdict, why, None)
        few = FEW_UNITS * data.record.trial.measurement.visit_rounds - len(data.times[data.clock])
        return Verdict("inconclusive", why, found.more_rounds or max(few, 0) or None)

    @cached_property
    def changes(self) -> tuple["Change", ...]:
        """What each function of a comparison has in place of the first, whose visits alternated with its own; else nothing."""
        if self.name != COMPARED:
            return ()
        first, *others = self._trials
        primary = self._campaign.record.config.analysis.primary
        values: dict[str, Callable[[TrialData], Floats]] = {LATENCY: lambda one: np.log(np.median(one.inferences[one.clock], axis=1))}
        if primary is not None:
            ns = ns_of(primary)
            values = {f"{first.metric} within {primary}": lambda one: one.judged(one.metric).curve(one.times[one.clock], [ns])[0], **values}
        level = 1 - LEVEL / (len(others) * len(values))
        return tuple(
            Change(
                data.record.trial.model.name,
                first.record.trial.model.name,
                what,
                (shift_of_visits if what == LATENCY else of_visits)(first, data, value(first), value(data), level),
                answers_change=what != LATENCY and bool(first.different_answers or data.different_answers),
            )
            for data in others
            for what, value in values.items()
        )

    def save(self, directory: Path | str) -> Path:
        """Copy the campaign into a new folder, which ``report``, ``compare``, ``bundle`` and ``assess`` read. Returns its path."""
        folder = Path(directory).expanduser()
        refuse_campaign_folder(folder, "save", [self.directory])
        return Path(shutil.copytree(self.directory, folder, ignore=shutil.ignore_patterns(LOCK)))

    def __repr__(self) -> str:
        with redirect_stdout(written := StringIO()):
            print_summary(self.analysed, rankings(self.analysed), self.directory / "report.html")
        summary = written.getvalue().rstrip().rpartition("\n")[0]  # the last line says where the report is, which is not written yet
        changing = [f"{data.record.trial.model.name}: {CHANGING}" for data in self._trials if data.different_answers]
        return "\n".join([summary, *map(str, self.changes), *changing])

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the table, and the report with its charts and slider in a frame of its own."""
        table, page = (html.escape(text, quote=True) for text in (repr(self), render(self.analysed)))
        return f'<pre>{table}</pre><iframe srcdoc="{page}" style="width:100%;height:640px;border:0"></iframe>'

    @cached_property
    def analysed(self) -> CampaignAnalysis:
        """Everything that a report says, computed once."""
        return analyse(self._campaign, self._campaign.record.config.analysis, leave_out=True)

    @property
    def _trials(self) -> list[TrialData]:
        return [data for group in self.analysed.groups for data in group.trials]

    def _data(self, of: str | None) -> TrialData:
        found = [data for data in self._trials if of in (None, data.trial_id, data.record.trial.model.name)]
        if len(found) != 1:
            raise InputError(
                f"of={of}: names {len(found)} of {len(self._trials)} trials; {nearest(str(of), [data.trial_id for data in self._trials])}",
                "unknown",
                "of",
                of,
            )
        return found[0]

    def _at(self, deadline: str, of: str | None) -> tuple[float, tuple[float, float]]:
        data = self._data(of)
        judged = data.judged(data.metric)
        curve = judged.curve(data.times[data.clock], [ns_of(deadline)])
        [found] = intervals(judged, curve, data.answers_at_stake(judged), data.visits)
        return judged.shown(float(curve[0].mean())), judged.shown_limits(found.low, found.high)


def ns_of(deadline: str) -> int:
    """Return a deadline in ns. Raises InputError for what is no time.

    Examples
    --------
    >>> ns_of("1.5 s")
    1500000000
    """
    try:
        return TypeAdapter(Time).validate_python(deadline)
    except ValidationError:
        raise InputError(f"deadline={deadline}: must be a time with its unit, such as 20 ms", key="deadline", value=deadline) from None


@dataclass(frozen=True)
class Change:
    """What one function has in place of another, ``against``: of quality within the deadline, or of median latency as a log ratio.

    ``found`` is the difference over visits that alternate, with its interval: all of a comparison hold together with 95 % confidence.
    """

    name: str
    against: str
    what: str
    found: Difference
    answers_change: bool = False

    @property
    def verdict(self) -> Literal["better", "worse", "no difference shown", "inconclusive"]:
        if self.found.method == "none" or self.answers_change:
            return "inconclusive"
        if self.found.low <= 0 <= self.found.high:
            return "no difference shown"
        return "better" if (self.found.low > 0) == (self.what != LATENCY) else "worse"

    def __str__(self) -> str:
        limits = "" if self.found.method == "none" else f" [{self.found.low:+.3g}, {self.found.high:+.3g}]"
        return f"{self.name} against {self.against}, {self.what}: {self.found.difference:+.3g}{limits}: {self.verdict}"


open = Result  # noqa: A001 - read as tail_quality.open
