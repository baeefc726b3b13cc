"""What is asked of several trials together: answers that agree between systems, and the rate that a system sustains."""

from dataclasses import replace

from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.case import Case, NotShown
from orchestrator.assessment.judged import judged_part
from orchestrator.assessment.quality import finding_of_mean, series_of
from orchestrator.assessment.requirements import AnswersAsked, CapacityAsked
from orchestrator.assessment.verdicts import Finding
from orchestrator.stats.times import Clock


def answers_between_systems(case: Case, asked: AnswersAsked) -> Finding:
    """Return whether a system answers few enough samples otherwise than the first one of the same model and data.

    The count is exact: it speaks of these samples and of the answers stored for them.
    """
    counts, compared = [], 0
    for each in case.subject.trials:
        if each.data is None or each.group is None:
            continue
        model = each.record.trial.model.name
        others = {data.record.match_key for data in each.group.trials if data.record.trial.model.name == model}
        compared += len(others - {each.record.match_key})
        counts += [found.samples for found in each.group.disagreements if found.other == each.record.trial_id]
    if not compared:
        raise NotShown("no other system of this model and data was measured in the same campaign: measure at least two")
    most, samples = max(counts, default=0), len(case.trials[0].references)
    return Finding(
        "met" if most <= asked.at_most else "not met",
        f"answers other than the first system's: {most} of {samples} samples, exactly, asked: at most {asked.at_most}",
        figure=float(most),
        low=float(most),
        high=float(most),
        asked=float(asked.at_most),
        unit="samples",
        method="count",
    )


def capacity(case: Case, asked: CapacityAsked) -> Finding:
    """Return whether a system keeps its quality at a rate of arrivals, or at a higher one.

    *Met* where any rate from the asked one on is shown to keep it, *not met* where any up to it is shown not to: more arrivals never make
    a system that queues them faster. All rates share the error.
    """
    trials = [data for data in case.trials if data.record.trial.load.rate_per_s is not None]
    if not trials:
        raise NotShown("no trial under load with a rate was measured: use `capacity`, or load= with load.rate_per_s=")
    part = replace(case, error=case.error / len(trials))
    findings = [(rate_of(data), _flagged(case, data, _at_rate(part, data, asked))) for data in trials]
    failing = [one for one in findings if one[1].verdict == "not met" and one[0] <= asked.at_least_per_s]
    keeping = [one for one in findings if one[1].verdict == "met" and one[0] >= asked.at_least_per_s]
    if failing and keeping:
        lost, kept = failing[0][0], keeping[0][0]
        raise NotShown(f"at {lost:g}/s quality is lost and at {kept:g}/s it is kept: the machine was not the same throughout")
    if failing or keeping:
        return (failing or keeping)[0][1]
    rate, nearest = min(findings, key=lambda one: (one[0] < asked.at_least_per_s, abs(one[0] - asked.at_least_per_s)))
    measured = " and ".join(f"{one:g}/s" for one in sorted({one for one, _ in findings}))
    beside = f"a trial at {asked.at_least_per_s:g}/s beside {measured}"
    wanted = f"measured at {rate:g}/s: {nearest.missing}" if nearest.missing else beside
    return replace(nearest, verdict="not shown", missing=wanted)


def _flagged(case: Case, data: TrialData, found: Finding) -> Finding:
    """Return the finding on one rate with the flags of its trial."""
    groups = (each.group for each in case.subject.trials if each.data is data and each.group is not None)
    return replace(found, flags=(*next(groups).flags[data.trial_id], *found.flags))


def rate_of(data: TrialData) -> float:
    """Return the rate of a trial under load, samples a second."""
    return data.record.trial.load.rate_per_s or 0.0


def _at_rate(case: Case, data: TrialData, asked: CapacityAsked) -> Finding:
    """Return the finding on tail quality at one rate, on the response clock, with streams as units."""
    clock = Clock.RESPONSE
    threshold = case.threshold(asked.threshold, clock)
    members, judged, floor = judged_part(data, asked.metric, "all", asked.keep, "ideal")
    part = series_of(data, members, judged, clock, threshold.ns)
    name = f"tail quality at {rate_of(data):g}/s ({clock}) at {threshold.label}"
    return finding_of_mean(case, part, floor, scale_of(judged), name, int(members.sum()))
