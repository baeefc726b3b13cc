"""How many answers are right, wrong, unreadable, cut off, late or missing within each threshold."""

from collections.abc import Iterator

from orchestrator.analysis.groups import Group
from orchestrator.analysis.outcomes import FATES, counted
from orchestrator.analysis.table import ANY_CLOCK, FLAGS, THRESHOLD, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData

MEANINGS = {
    "error": "no answer: an error, a time-out, or a round that ended before it",
    "late": "later than the threshold, or never started under load",
    "truncated": "cut off at the limit of tokens",
    "unparsable": "nothing in it that the task could read",
    "wrong": "score 0 by the first metric that gives each answer 0 or 1",
    "right": "score 1 by that metric",
    "answered": "on time, where there is no such metric",
}


@table(
    "outcomes",
    (
        ANY_CLOCK,
        *THRESHOLD,
        Column("answers", "int64", "answers of all rounds", "answers", "count"),
        *(Column(fate, "int64?", f"answers: {MEANINGS[fate]}") for fate in FATES),
        *(
            Column(f"{fate}_share", "float?", f"`{fate}` / `answers`", fate, "share")
            for fate in FATES
        ),
        FLAGS,
    ),
    per="trial",
    title="Outcomes of {task} ({clock} time) within {bound}",
    note="Each answer has the first outcome that holds: error, late, truncated, unparsable, wrong, "
    "right. Without a metric that gives each answer 0 or 1, the last two are one: answered.",
    section="Tail quality at every threshold",
    where={"clock": "@clock", "threshold": "@primary"},
    labels={"answers": "answers", **{f"{fate}_share": fate for fate in FATES}},
)
def outcomes(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial, clock and common threshold, of the outcomes of all answers.

    Counts add up to ``answers``; one that nothing tells of is null. Samples that a policy drops
    under load count as late.
    """
    for clock, thresholds in group.thresholds.by_clock(data).items():
        found = counted(data, clock, [one.ns for one in thresholds])
        answers = data.times[clock].size
        for place, threshold in enumerate(thresholds):
            counts = {fate: int(found[fate][place]) if fate in found else None for fate in FATES}
            yield {
                **data.record.labels(),
                "clock": clock,
                **threshold.columns(),
                "answers": answers,
                **counts,
                **{
                    f"{fate}_share": None if count is None else count / answers
                    for fate, count in counts.items()
                },
                "flags": list(group.flags[data.trial_id]),
            }
