"""What is said in words of a trial's late answers and slow rounds."""

from collections.abc import Iterator, Sequence

from orchestrator.analysis.evidence import BY_NAME
from orchestrator.analysis.table import Row
from orchestrator.analysis.tables.explain import TOO_FEW
from orchestrator.report.text import milliseconds, per_cent, quality
from orchestrator.stats.times import Clock

PARTS = {
    "by_sample": "with the sample (the input)",
    "by_round": "with the round (the machine)",
    "by_neither": "with neither (the system varies from one inference to the next)",
}


def sentences(rows: Sequence[Row], clock: Clock) -> Iterator[str]:
    """Yield what a trial's rows of ``explain.parquet`` say, the largest part of lateness first."""
    first, named = rows[0], [row for row in rows if row["place"] is not None]
    label = "" if first["threshold_origin"] == "absolute" else f"{first['threshold']}; "
    yield (
        f"{per_cent(first['late'])} of inferences take longer than "
        f"{milliseconds(first['threshold_ns'])} ({label}{clock} time, {first['rounds']} rounds)."
    )
    parts = sorted((one for one in PARTS if first[one] is not None), key=lambda one: -first[one])
    if parts:
        told = ", ".join(f"{per_cent(first[name])} goes {PARTS[name]}" for name in parts)
        yield f"Of the variance of lateness, {told}."
    if not named:
        why = f" ({TOO_FEW})" if TOO_FEW in first["flags"] else ""
        yield f"No stored evidence moves with late answers or with the time of rounds{why}."
        return
    if parts and parts[0] != "by_round":
        yield f"The following concerns the part of the round alone, {per_cent(first['by_round'])}."
    if first["role"] == "sign":
        yield "No cause is named: a sign shows that the process waited, not for whom."
    for row in named:
        harm, name = (
            ("late answers", "late") if row["late_p"] <= row["time_p"] else ("slow rounds", "time")
        )
        correlation, p_value = row[f"{name}_correlation"], row[f"{name}_p"]
        remedy = f" Remedy: {BY_NAME[row['evidence']].remedy}." if row is first else ""
        yield (
            f"{row['role'].capitalize()}: {row['evidence']} (moves with {harm}, "
            f"rank correlation {correlation:.2f}, p {p_value:.3f}).{remedy}"
        )
    if None not in (first["quiet_mean"], first["disturbed_mean"]):
        sides = [
            f"{quality(first[f'{side}_mean'])} in {first[f'{side}_rounds']} {side} rounds "
            f"({per_cent(first[f'{side}_late'])} late)"
            for side in ("quiet", "disturbed")
        ]
        yield f"Tail quality is {' and '.join(sides)}; no round is dropped."
