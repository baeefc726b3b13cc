"""What is stored of one trial while it runs: its record, its rounds, and what code has raised."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from orchestrator.configuration.environment_values import without_values
from orchestrator.contracts import InputError
from orchestrator.running.steps import storing
from orchestrator.storage.handover import RoundResult
from orchestrator.storage.records import Fault, PlannedTrial, Stopping, TrialError, TrialRecord
from orchestrator.storage.schema import State
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.targets import harmless

MOST_MESSAGES = 1000
"""Most messages of samples that are kept of one trial; outcomes are kept of all."""
MOST_TRACEBACKS = 20
"""Most tracebacks that one driver writes for one trial: a model may raise differently in every round."""


class TrialBook:
    """The record of a trial as it is stored, and what is added to it the next time it is written.

    Construction reads what is stored and puts right what a kill has left.
    """

    def __init__(self, campaign: CampaignWriter, planned: PlannedTrial) -> None:
        self._campaign = campaign
        self._trial_id = planned.trial_id
        self._hide = partial(without_values, planned.trial)
        self._rule = planned.trial.measurement.rule
        self._writer = campaign.trial(planned.trial_id)
        self.record = campaign.read_trial(planned.trial_id) or TrialRecord.from_plan(planned)
        stopping = self.record.stopping
        self.extends = stopping is not None and stopping.reason is not None
        self._errors: list[TrialError] = list(self.record.errors)
        self._faults: list[Fault] = list(self.record.faults)
        self._checks: list[dict[str, Any]] = [dict(check) for check in stopping.checks] if stopping and self.extends else []
        self._tracebacks: set[str] = set()

    def samples(self) -> pa.Table | None:
        """Return what is stored of the samples; None if a driver died before the record was written."""
        with storing("reading what is stored"):
            samples = self._writer.stored_samples()
        return samples if self.record.metrics else None

    def rounds(self) -> Iterator[RoundResult]:
        """Yield the stored rounds in order."""
        stored = iter(self._writer.stored_rounds())
        while True:
            with storing("reading what is stored"):  # and not around the yield: who wants no more rounds is no fault of the reading
                found = next(stored, None)
            if found is None:
                return
            yield found

    def check(self, check: Mapping[str, Any] | None) -> None:
        """Add what a check of the rule has found."""
        if check is not None:
            self._checks.append(dict(check))

    def fault(self, fault: Fault) -> None:
        """Add what ended a process."""
        self._faults.append(fault)

    def note(self, **values: Any) -> None:
        """Add what is to be stored with the next change."""
        self.record = self.record.model_copy(update=values)

    def stopped(self, reason: str | None) -> Stopping:
        """Return why the trial stopped, with all checks so far."""
        return Stopping(rule=self._rule, reason=reason, checks=tuple(self._checks))

    def change(self, state: State, reason: str | None, **values: Any) -> None:
        """Store the trial's record, then its state in the campaign. What cannot be stored is not kept for the next time either."""
        update: dict[str, Any] = {
            "state": state, "reason": reason, "errors": tuple(self._errors), "faults": tuple(self._faults), **values,
        }  # fmt: skip
        if self._checks and (self.record.stopping is None or self.record.stopping.reason is None):
            update["stopping"] = self.stopped(None)
        with storing("storing its record"):
            record = self.record.model_copy(update=update)
            self._writer.write_record(record)
        self.record = record
        with storing("storing its state"):
            self._campaign.set_state(self._trial_id, state, reason)

    def store_samples(self, samples: pa.Table) -> None:
        """Store one row per sample."""
        with storing("storing its samples"):
            self._writer.write_samples(samples)

    def store_warmup(self, warmup: pa.RecordBatch) -> None:
        """Store the timings of the warm-up."""
        with storing("storing its warm-up"):
            self._writer.write_warmup(warmup)

    def store_round(self, number: int, result: RoundResult) -> None:
        """Store one round under a number."""
        with storing("storing a round"):
            # Requests of a server that is away may fail in every round: their outcomes are all kept, their messages up to a number.
            for sample, message in [*result.errors.items()][: max(0, MOST_MESSAGES - len(self._errors))]:
                self._errors.append(TrialError(message=self._hide(message), round=number, sample=sample))
            if result.answers is not None:
                self._writer.write_answers(number, result.answers)
            if result.ramp is not None:
                self._writer.write_ramp(result.ramp)
            self._writer.append(result.timings, result.round)
        if result.traceback is not None:
            self.store_traceback(f"round {number}, first sample that the model raised on", result.traceback)

    def store_traceback(self, where: str, text: str) -> None:
        """Add what code has raised to ``traceback.txt``."""
        if text not in self._tracebacks and len(self._tracebacks) < MOST_TRACEBACKS:
            self._tracebacks.add(text)
            with storing("storing a traceback"):
                self._writer.write_traceback(where, self._hide(text))

    def store_server_log(self, process: int, text: str) -> None:
        """Store what the server of a process has written."""
        with storing("storing its server's log"):
            self._writer.write_server_log(process, harmless(self._hide(text)))

    def finish(self) -> None:
        """Write what waits, and merge all parts."""
        with storing("merging its parts"):
            self._writer.finish()


def end_alone(campaign: CampaignWriter, trial_id: str, state: State, reason: str | None) -> None:
    """Store the final state of a trial, and nothing else."""
    with storing("storing its state"):
        campaign.set_state(trial_id, state, reason)


def refuse_changed(record: TrialRecord, digests: Mapping[str, Any]) -> None:
    """Raise InputError if data or weights are not those of the first rounds, unless the user has accepted that."""
    for name, digest in record.digests.items():
        if digests.get(name) != digest and not record.changes:
            raise InputError(f"the {name} of {record.trial_id} has changed since its first rounds were measured; measure a new campaign")
