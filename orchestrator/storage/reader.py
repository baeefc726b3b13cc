"""Read a campaign's directory. A reader writes nothing, and may read while a driver writes."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.configuration.server import NOT_ASKED
from orchestrator.contracts import InputError, nearest
from orchestrator.storage import merge, schema
from orchestrator.storage.layout import CAMPAIGN, REPORT, TrialFolder, inside, trial_folder
from orchestrator.storage.load import MEASURE_AGAIN, opened, read_campaign, read_table, read_trial
from orchestrator.storage.matrix import RoundMatrix, round_matrix
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.stored_form import conform_samples

# Where campaigns lie below a folder that holds several: ``results/<sweep>/<time>``.
BELOW = ("*", "*/*", "results/*/*")


def refuse_no_campaign(directory: Path) -> None:
    """Raise InputError for a path that is no campaign's directory."""
    if (directory / CAMPAIGN).is_file():
        return
    told = "name the directory of a campaign"
    below = sorted({found.parent for places in BELOW for found in directory.glob(f"{places}/{CAMPAIGN}")}, reverse=True)
    why = f"holds no {CAMPAIGN}: {told}, such as results/latest"
    if not directory.exists():
        beside = [found.parent.name for found in directory.parent.glob(f"*/{CAMPAIGN}")]
        why = f"is not there: {told}, such as results/latest" + (f"; {nearest(directory.name, beside)}" if beside else "")
    elif below:
        why = f"holds no {CAMPAIGN} itself: name one of the campaigns below it ({', '.join(map(str, below[:3]))})"
    raise InputError(f"{directory} {why}", "not_found", value=directory)


class Campaign:
    """A stored campaign. Every method reads from the disk and raises InputError for a damaged file or an unknown trial."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.record = read_campaign(directory)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The words of the command line that measured it, where they are known; of campaigns that are read as one those of each."""
        return (self.record.command,) if self.record.command else ()

    def trial(self, trial_id: str) -> TrialRecord:
        """Return what is known of a trial. Its state is the one in ``campaign.json``, unless a driver is at work or was killed."""
        planned = self.record.planned(trial_id)
        record = read_trial(self._folder(trial_id), planned)
        if record is None:
            return TrialRecord.from_plan(planned)
        return record if self.record.under_way else record.model_copy(update={"state": planned.state, "reason": planned.reason})

    def trials(self) -> list[TrialRecord]:
        return [self.trial(planned.trial_id) for planned in self.record.trials]

    def timings(self, trial_id: str) -> pa.Table:
        """Return the timings of all stored rounds, sorted by round and sample; columns of ``schema.TIMINGS``."""
        return self.both(trial_id)[0]

    def rounds(self, trial_id: str) -> pa.Table:
        """Return one row per stored round, sorted by round; columns of ``schema.ROUNDS``."""
        return merge.rounds(self._measured(trial_id), self.trial(trial_id).rounds)

    def matrix(self, trial_id: str) -> RoundMatrix:
        return round_matrix(*self.both(trial_id))

    def samples(self, trial_id: str) -> pa.Table:
        """Return one row per sample: its reference, first prediction, sizes, scores and slices."""
        path = self._folder(trial_id).samples
        if not path.exists():
            if rounds := self.trial(trial_id).rounds:
                raise InputError(f"{path} is missing ({rounds} rounds are stored): {MEASURE_AGAIN}", "not_found", value=path)
            raise InputError(f"{path} is missing: the trial ended before its warm-up; measure it again", "no_data", value=path)
        with opened(path) as file:
            return conform_samples(file.read(), self.record.planned(trial_id).trial.task.kind)

    def warmup(self, trial_id: str) -> pa.Table:
        """Return the timings of the warm-up rounds; no rows where there are none yet."""
        path = self._folder(trial_id).warmup
        return read_table(path, schema.TIMINGS) if path.exists() else schema.TIMINGS.empty_table()

    def ramp(self, trial_id: str) -> pa.Table:
        """Return the timings of the streams' ramps; no rows in a closed loop."""
        path = self._folder(trial_id).ramp
        return read_table(path, schema.RAMP) if path.exists() else schema.RAMP.empty_table()

    def answers(self, trial_id: str, number: int) -> pa.Table | None:
        """Return the answers of a round that differ from the first warm-up round's, or None if none do."""
        rounds = self.rounds(trial_id)
        return next((table for _, table in self.other_answers(trial_id, rounds.filter(pc.equal(rounds.column("round"), number)))), None)

    def other_answers(self, trial_id: str, rounds: pa.Table, form: pa.Schema | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield the number of each of ``rounds`` that has answers other than the first round's, and these."""
        for number, different in zip(*(rounds.column(name).to_pylist() for name in ("round", "different_answers")), strict=True):
            path = self._folder(trial_id).answers_of(number)
            if path.exists():
                yield number, read_table(path, form)
            elif different:
                raise InputError(f"{path} is missing (rounds/ counts {different} answers in it): {MEASURE_AGAIN}", "not_found", value=path)

    def table(self, name: str, form: pa.Schema) -> pa.Table:
        """Return a result table; it is empty where a report has written none of that name."""
        remedy = f"write it with `python -m orchestrator report {shlex.quote(str(self.directory))}`"
        path = inside(self.directory, self.directory / f"{name}.parquet")
        if not path.exists() and (self.directory / REPORT).exists():
            return form.empty_table()
        if not path.exists():
            raise InputError(f"{path} is missing: {remedy}", "not_found", value=path)
        table = read_table(path, remedy=remedy)
        names = table.column_names
        if "server" not in names and "runtime" in names:  # from before servers
            table = table.add_column(names.index("runtime") + 1, "server", pa.array([NOT_ASKED] * table.num_rows, pa.string()))
        types = dict(zip(table.schema.names, table.schema.types, strict=True))
        if differing := [field.name for field in form if types.get(field.name) != field.type]:
            raise InputError(f"{path} is no {name} table of this program (column {differing[0]}): {remedy}", "damaged", value=path)
        strangers = set(table.column("trial").unique().to_pylist()) - {planned.trial_id for planned in self.record.trials}
        if strangers:
            raise InputError(f"{path} is of another campaign (it names trial {min(strangers)}): {remedy}", "damaged", value=path)
        return table

    def both(self, trial_id: str) -> tuple[pa.Table, pa.Table]:
        """Return timings and rounds of a trial."""
        return merge.both(self._measured(trial_id), self.trial(trial_id).rounds)

    def _measured(self, trial_id: str) -> TrialFolder:
        """Return a trial's folder. Its warm-up and ramps, which no figure needs, must still be whole and within the declared ranges."""
        self.warmup(trial_id), self.ramp(trial_id)
        return self._folder(trial_id)

    def _folder(self, trial_id: str) -> TrialFolder:
        return trial_folder(self.directory, self.record.planned(trial_id).trial_id)


def open_campaign(directory: Path | str) -> Campaign:
    """Open a campaign's directory for reading.

    Raises InputError for a directory that holds no campaign, one that a newer program wrote, or a damaged ``campaign.json``.
    """
    path = Path(directory)
    refuse_no_campaign(path)
    return Campaign(path)
