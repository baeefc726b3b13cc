"""One requirement held against one system: what every kind of requirement works on, and how it reads what it asks for."""

from dataclasses import dataclass

from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.requirements import Requirement
from orchestrator.assessment.subjects import Subject
from orchestrator.assessment.verdicts import Finding
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import Clock

NO_DEVICE = "has no device with memory of its own: ask for resident memory, or for systems with a GPU"
STREAMED = "of streamed answers alone: ask a server that streams"
WHERE = {
    Clock.RESPONSE: "under load alone, and these samples did not arrive by a schedule: measure with load=",
    Clock.FIRST_TOKEN: STREAMED,
    Clock.PER_TOKEN: STREAMED,
}
"""Which trials have a clock that not all have."""


class NotShown(Exception):
    """Stored data cannot speak of what a requirement asks for; the message says why."""


@dataclass(frozen=True)
class Case:
    """A requirement, a system with at least one trial that has rounds, and the probability of a false verdict that it may risk."""

    requirement: Requirement
    subject: Subject
    error: float

    @property
    def trials(self) -> list[TrialData]:
        """The trials with rounds, each a fresh process."""
        return self.subject.with_rounds

    def clock(self, asked: str | None) -> Clock:
        """Return the clock that is asked for, or else the one that counts first. Raises NotShown where a trial has no such clock."""
        clock = Clock(asked) if asked is not None else self.trials[0].clock
        if any(clock not in data.times for data in self.trials):
            raise NotShown(f"the clock {clock} exists {WHERE.get(clock, 'elsewhere')}")
        return clock

    def threshold(self, text: str, clock: Clock) -> Threshold:
        """Return the threshold that a text names.

        Raises NotShown for a percentile where no trial can be the reference, and where it is one of this system's own trials: what share
        of its answers is on time is then fixed, however slow they are.
        """
        found = self.subject.threshold(text, clock)
        if found is None:
            raise NotShown(f"no trial gives the percentile {text}: ask for a time, such as 50 ms")
        if found.origin == "reference" and found.reference in self.subject.of_its_group:
            raise NotShown(f"{text} is that of {found.reference}, which is this very system: ask for a time, such as 50 ms")
        return found

    def lacks(self, what: str, remedy: str) -> NotShown:
        """Return that stored data lack something, with what would bring it: of imported trials nothing here does."""
        imported = any(data.record.imported for data in self.trials)
        return NotShown(f"{what}: {'imported timings hold none of it, a trial that is measured here does' if imported else remedy}")

    def not_shown(self, why: str) -> Finding:
        """Return the finding that there is nothing to say."""
        return Finding("not shown", "no figure", why)
