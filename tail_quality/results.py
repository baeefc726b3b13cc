"""What was measured, as an object: figures by name, tables for a terminal, a page for a notebook; and an ordinary campaign on disk."""

import html
import shutil
import weakref
from collections.abc import Sequence
from contextlib import suppress
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
from orchestrator.analysis.ranking import Ranking, rankings
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import of_visits
from orchestrator.assessment.assess import assess
from orchestrator.assessment.requirements import Requirements
from orchestrator.assessment.subjects import Session, read_session
from orchestrator.assessment.values import Threshold
from orchestrator.contracts import InputError, nearest
from orchestrator.report.findings import text_lines
from orchestrator.report.findings.campaign import findings
from orchestrator.report.html.page import render
from orchestrator.report.result_tables import answers, problem_tables
from orchestrator.report.terminal import Terminal
from orchestrator.stats.constants import FEW_UNITS
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.pair import LEVEL, Difference
from orchestrator.stats.thresholds import primary_threshold
from orchestrator.storage.layout import LOCK, refuse_campaign_folder

# What a function in this process is flagged with in any case: whoever asks for a verdict on it knows that.
OF_THIS_PROCESS = ("unpinned", "other users not excluded")
FRAME_PX = 640
NS_PER_MS = 1e6


@dataclass(frozen=True)
class Verdict:
    """Whether quality within a deadline is at least what was asked: *met*, *not met*, or *inconclusive*.

    ``why`` says it in words; ``more_rounds`` would show it, if they are as those measured; None where that is not known.
    """

    outcome: Literal["met", "not met", "inconclusive"]
    why: str
    more_rounds: int | None = None


class Result(Results):
    """The results of one campaign. Where several trials were measured, ``of`` names one by its model or its id.

    Examples
    --------
    >>> import tail_quality as tq
    >>> result = tq.measure(abs, [-1, 2, -3], [1, 2, 3], deadline="1 s", rounds=2, say=None)
    >>> result.quality("1 s")
    1.0
    """

    def __init__(self, directory: Path | str, temporary: Path | None = None) -> None:
        super().__init__(directory)
        if temporary is not None:
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)

    def quality(self, deadline: str, of: str | None = None) -> float:
        """Return mean tail quality within a deadline, such as ``"20 ms"``."""
        return self._at(deadline, of)[0]

    def quality_interval(self, deadline: str, of: str | None = None) -> tuple[float, float]:
        """Return the limits of its 95 % interval, of rounds to come."""
        return self._at(deadline, of)[1]

    def latency(self, percentile: float, of: str | None = None) -> float:
        """Return a percentile of latency, in ms: of the total time, or under load of the response time."""
        data = self._data(of)
        return float(percentile_inverted_cdf(data.served(data.clock), percentile)) / NS_PER_MS

    def frame(self, name: str = "timings") -> Any:
        """Return the timings of all trials, or a result table by its name, as a data frame of pandas, or else of polars."""
        found = self._all_timings() if name == "timings" else self.table(name)
        if find_spec("pandas") is not None:
            return found.to_pandas()
        if find_spec("polars") is not None:
            return import_module("polars").from_arrow(found)
        raise InputError("a data frame needs pandas or polars, and neither is installed: install one", "not_installed")

    def _all_timings(self) -> pa.Table:
        parts = {data.trial_id: self.timings(data.trial_id) for data in self._loaded}
        return pa.concat_tables([part.add_column(0, "trial", pa.array([trial] * len(part))) for trial, part in parts.items()])

    def verdict(self, deadline: str, at_least: float, of: Literal["absolute", "ideal"] = "absolute") -> Verdict:
        """Return whether all trials keep a quality within a deadline, of rounds to come, with 95 % confidence.

        ``at_least`` is on the metric's scale or, ``of="ideal"``, a share of the quality without a deadline.
        """
        asked = {"threshold": deadline, "at_least": float(at_least), "of": of}
        evidence = {"accept_flags": OF_THIS_PROCESS}
        entry = {"id": "verdict", "text": f"at least {at_least:g} within {deadline}", "tail_quality": asked, "evidence": evidence}
        [found] = assess(Requirements.model_validate({"requirements": [entry]}), [self._session]).assessed
        told = [one for one in found.findings if one.verdict == found.verdict]
        why = "; ".join(f"{one.said}{f': {one.missing}' if one.missing else ''}" for one in told)
        if found.verdict != "not shown":
            return Verdict(found.verdict, why)
        fewest = [FEW_UNITS * data.record.trial.measurement.visit_rounds for data in self._loaded]
        more = [one.more_rounds or few - one.basis["rounds"] for one, few in zip(told, fewest, strict=False)]
        return Verdict("inconclusive", why, max((rounds for rounds in more if rounds > 0), default=None))

    def save(self, directory: Path | str) -> Path:
        """Copy the campaign into a new folder, which ``report``, ``compare``, ``bundle`` and ``assess`` read. Returns its path."""
        folder = Path(directory).expanduser()
        refuse_campaign_folder(folder, "save", [self.directory])
        shutil.copytree(self.directory, folder, ignore=shutil.ignore_patterns(LOCK))
        return folder

    def __repr__(self) -> str:
        terminal = Terminal(written := StringIO())
        for table in (*problem_tables(self._analysed), *answers(self._ranked, brief=True)):
            terminal.table(table)
            terminal.line()
        for line in text_lines(findings(self._analysed, self._ranked), terminal.width):
            terminal.line(line)
        return written.getvalue().rstrip()

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the table, and the report with its charts and slider in a frame of its own."""
        page = html.escape(render(self._analysed), quote=True)
        return f'<pre>{html.escape(repr(self))}</pre><iframe srcdoc="{page}" style="width:100%;height:{FRAME_PX}px;border:0"></iframe>'

    @cached_property
    def _analysed(self) -> CampaignAnalysis:
        return analyse(self._campaign, self._campaign.record.config.analysis, leave_out=True)

    @cached_property
    def _ranked(self) -> Sequence[Ranking]:
        return rankings(self._analysed)

    @property
    def _loaded(self) -> list[TrialData]:
        return [data for group in self._session.groups for data in group.trials]

    @cached_property
    def _session(self) -> Session:
        return read_session(self._campaign, self._campaign.record.config.analysis)

    def _data(self, of: str | None) -> TrialData:
        found = [data for data in self._loaded if of in (None, data.trial_id, data.record.trial.model.name)]
        if len(found) != 1:
            known = [data.record.trial.model.name for data in self._loaded]
            names = known if len(set(known)) == len(known) else [data.trial_id for data in self._loaded]
            raise InputError(f"of={of}: names {len(found)} of {len(names)} trials; {nearest(str(of), names)}", "unknown", "of", of)
        return found[0]

    def _at(self, deadline: str, of: str | None) -> tuple[float, tuple[float, float]]:
        data = self._data(of)
        judged = data.judged(data.metric)
        curve = judged.curve(data.times[data.clock], [bound_ns(deadline)])
        [found] = intervals(judged, curve, data.answers_at_stake(judged), data.visits)
        return judged.shown(float(curve[0].mean())), judged.shown_limits(found.low, found.high)


def bound_of(deadline: str) -> str:
    """Return a deadline in ms, as thresholds are written. Raises InputError for what is no time.

    Examples
    --------
    >>> bound_of("1.5 s")
    '1500 ms'
    """
    with suppress(ValidationError):
        found = TypeAdapter(Threshold).validate_python(deadline)
        if found.endswith("ms"):
            return str(found)
    raise InputError(f"deadline={deadline}: must be a time with its unit, such as 20 ms", key="deadline", value=deadline)


def bound_ns(deadline: str) -> int:
    """Return a deadline in ns."""
    found = primary_threshold(bound_of(deadline), None)
    assert found is not None
    return found.ns


@dataclass(frozen=True)
class Change:
    """What one function has in place of another, ``against``: of quality within the deadline, or of median latency as a share.

    ``found`` is the difference over visits that alternate, with its interval: all of a comparison hold together with 95 % confidence.
    """

    name: str
    against: str
    what: str
    found: Difference
    higher_is_better: bool

    @property
    def verdict(self) -> Literal["better", "worse", "no difference shown", "inconclusive"]:
        if self.found.method == "none":
            return "inconclusive"
        if self.found.low <= 0 <= self.found.high:
            return "no difference shown"
        return "better" if (self.found.low > 0) == self.higher_is_better else "worse"

    def __str__(self) -> str:
        limits = "" if self.found.method == "none" else f" [{self.found.low:+.3g}, {self.found.high:+.3g}]"
        return f"{self.name} against {self.against}, {self.what}: {self.found.difference:+.3g}{limits}: {self.verdict}"


class Comparison(Result):
    """The results of functions whose visits alternated, each against the first."""

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        first, *others = self._loaded
        primary = self._campaign.record.config.analysis.primary
        level = 1 - LEVEL / max(1, len(others) * (1 + (primary is not None)))
        made = []
        for data in others:
            names = data.record.trial.model.name, first.record.trial.model.name
            if primary is not None:
                theirs, mine = (one.judged(one.metric).curve(one.times[one.clock], [bound_ns(primary)])[0] for one in (first, data))
                of_quality = of_visits(first, data, theirs, mine, level)
                made.append(Change(*names, f"{data.metric} within {primary}", of_quality, True))
            theirs, mine = (np.log(np.median(one.inferences[one.clock], axis=1)) for one in (first, data))
            of_latency = of_visits(first, data, theirs, mine, level, is_quality=False)
            made.append(Change(*names, "median latency (log ratio)", of_latency, False))
        return tuple(made)

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *map(str, self.changes)])


def open(directory: Path | str) -> Result:  # noqa: A001 - read as tail_quality.open
    """Open the stored results of a campaign; it needs neither the model nor the data nor the machine.

    Raises InputError for a directory that holds no campaign, a damaged one, or one that a newer version wrote.
    """
    return Result(directory)
