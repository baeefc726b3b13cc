"""What is stored of one trial while it runs: its record, its rounds, and what code has raised."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa

from orchestrator.configuration.environment_values import without_values
from orchestrator.contracts import InputError
from orchestrator.storage.handover import Rounds
from orchestrator.storage.records import Fault, PlannedTrial, Stopping, TrialError, TrialRecord
from orchestrator.storage.schema import State
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.targets import harmless

MOST_MESSAGES = 1000  # Most messages of samples that are kept of one trial; outcomes are kept of all
# Most tracebacks that one driver writes for one trial: a model may raise differently in every round.
MOST_TRACEBACKS = 20


class Unstorable(RuntimeError):
    """The disk refuses, which concerns all trials. ``__cause__`` is the reason."""


@contextmanager
def storing() -> Iterator[None]:
    """Tell an OSError of the disk from every other one."""
    try:
        yield
    except OSError as error:
        raise Unstorable from error


class TrialBook:
    """The record of a trial as it is stored, and what is added to it the next time it is written.

    Construction reads what is stored and puts right what a kill has left.
    """

    def __init__(self, campaign: CampaignWriter, planned: PlannedTrial) -> None:
        self._campaign = campaign
        self._trial_id = planned.trial_id
        self._hide = partial(without_values, planned.trial)
        self._rule = planned.trial.measurement.rule
        with storing():
            self._writer = campaign.trial(planned.trial_id)
            self.record = campaign.read_trial(planned.trial_id) or TrialRecord.from_plan(planned)
        stopping = self.record.stopping
        self.extends = stopping is not None and stopping.reason is not None
        self.faults: list[Fault] = list(self.record.faults)
        self.checks: list[dict[str, Any]] = [dict(check) for check in stopping.checks] if stopping and self.extends else []
        self._errors: list[TrialError] = list(self.record.errors)
        self._tracebacks: set[str] = set()

    @storing()
    def stored(self) -> tuple[pa.Table, Rounds | None] | None:
        """Return what is stored of samples and rounds; None if a driver died before the record was written."""
        samples = self._writer.stored_samples()
        return (samples, self._writer.stored_rounds()) if samples is not None and self.record.metrics else None

    def note(self, **values: Any) -> None:
        """Add what is to be stored with the next change."""
        self.record = self.record.model_copy(update=values)

    def stopped(self, reason: str | None) -> Stopping:
        """Return why the trial stopped, with all checks so far."""
        return Stopping(rule=self._rule, reason=reason, checks=tuple(self.checks))

    def change(self, state: State, reason: str | None, **values: Any) -> None:
        """Store the trial's record, then its state in the campaign. What cannot be stored is not kept for the next time either."""
        update: dict[str, Any] = {
            "state": state, "reason": reason, "errors": tuple(self._errors), "faults": tuple(self.faults), **values,
        }  # fmt: skip
        if self.checks and (self.record.stopping is None or self.record.stopping.reason is None):
            update["stopping"] = self.stopped(None)
        record = self.record.model_copy(update=update)
        with storing():
            self._writer.write_record(record)
            self.record = record
            self._campaign.set_state(self._trial_id, state, reason)

    @storing()
    def store_prepared(self, samples: pa.Table | None, warmup: pa.RecordBatch) -> None:
        """Store the timings of a warm-up and, of a trial's first process, one row per sample."""
        if samples is not None:
            self._writer.write_samples(samples)
        self._writer.write_warmup(warmup)

    @storing()
    def store_rounds(self, rounds: Rounds) -> None:
        """Store rounds that follow those stored before."""
        # Requests of a server that is away may fail in every round: their outcomes are all kept, their messages up to a number.
        for number, errors in rounds.errors.items():
            for sample, message in [*errors.items()][: max(0, MOST_MESSAGES - len(self._errors))]:
                self._errors.append(TrialError(message=self._hide(message), round=number, sample=sample))
        for number, answers in rounds.answers.items():
            self._writer.write_answers(number, answers)
        if rounds.ramp is not None:
            self._writer.write_ramp(rounds.ramp)
        self._writer.append(rounds.timings, rounds.rows)
        for number, text in rounds.tracebacks.items():
            self.store_traceback(f"round {number}, first sample that the model raised on", text)

    @storing()
    def store_traceback(self, where: str, text: str) -> None:
        """Add what code has raised to ``traceback.txt``."""
        if text not in self._tracebacks and len(self._tracebacks) < MOST_TRACEBACKS:
            self._tracebacks.add(text)
            self._writer.write_traceback(where, self._hide(text))

    @storing()
    def store_server_log(self, process: int, text: str) -> None:
        self._writer.write_server_log(process, harmless(self._hide(text)))

    @storing()
    def finish(self) -> None:
        """Write what waits, and merge all parts."""
        self._writer.finish()


def refuse_changed(record: TrialRecord, digests: Mapping[str, Any]) -> None:
    """Raise InputError if data or weights are not those of the first rounds, unless the user has accepted that."""
    for name, digest in record.digests.items():
        if digests.get(name) != digest and not record.changes:
            raise InputError(
                f"the {name} of {record.trial_id} has changed since its first rounds were measured; measure a new campaign",
                "incomparable",
                value=name,
            )
