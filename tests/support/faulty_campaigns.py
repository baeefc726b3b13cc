"""Campaigns of models that do something bad once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import program

NULL = [*program.NULL, "system=cpu_1core"]
ROUNDS = 12
SHORT = ["measurement.rule=rounds", f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}", "measurement.round_timeout_s=6"]
LOAD = {"load": "poisson", "load.rate_per_s": "200", "load.stream_s": "0.5", "load.ramp_s": "0.1", "load.seed": "3"}
"""A model whose fault comes in its round 7 meets it in the third round of its second stream, be that of number 1 or 2."""


def faulty(folder: Path, axes: Mapping[str, Sequence[object]]) -> list[str]:
    """Return the words of a campaign with one trial for each place in the axes, which are as long as one another."""
    chosen = {**axes, "model.once": [folder / f"done-{number}" for number in range(len(axes["model.fault"]))]}
    lines = [f"  {name}: {','.join(map(str, values))}\n" for name, values in chosen.items()]
    (folder / "conf" / "sweep").mkdir(parents=True)
    (folder / "conf" / "sweep" / "bad.yaml").write_text(f"axes:\n{''.join(lines)}pair: [[{', '.join(chosen)}]]\n")
    return ["--config-dir", str(folder / "conf"), *NULL, "+sweep=bad", "model=faulty", *SHORT, "results_dir=r"]
