"""Verify a bundle: its digests, and everything in it that follows from the stored times, without a model, data or a network."""

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orchestrator
from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.assessment.assess import Assessment
from orchestrator.assessment.documents import to_document
from orchestrator.bundling.archive import OLD_SUMS, unpack
from orchestrator.bundling.contents import ABOUT, ASSESSMENT, ENVIRONMENT, REQUIREMENTS, RESULTS, About, assessed, environment_of
from orchestrator.contracts import InputError
from orchestrator.running.keeper import Keeper
from orchestrator.storage.files import json_text
from orchestrator.storage.load import LONGEST_TEXT, parse_json, read_json, read_regular, read_table
from orchestrator.storage.reader import open_campaign
from orchestrator.subject.digests import digest_code

RELATIVE, ABSOLUTE, NANOSECOND = 1e-6, 1e-9, 1  # How far floats and whole times may differ: another processor rounds sums otherwise


@dataclass(frozen=True)
class Verified:
    """What was found of a bundle.

    problems
        one line each; none where everything is as it was bundled and follows from the stored times.
    files, trials
        how many it holds; how many trials have stored rounds.
    assessment
        what the stored times show of the bundle's requirements; None where it has none, or where nothing was computed again.
    remark
        what was not held against the times, and why, or None.
    """

    problems: list[str]
    about: About | None = None
    files: int = 0
    trials: int = 0
    assessment: Assessment | None = None
    remark: str | None = None


@contextmanager
def passing_folder() -> Iterator[Path]:
    """Yield an empty folder that is removed at the end, also where this process is killed."""
    with Keeper() as files:
        folder = Path(tempfile.mkdtemp(prefix="orchestrator-verify-"))
        files.remove_at_end(folder)
        yield folder


def verify(path: Path, folder: Path) -> Verified:
    """Unpack a bundle into an empty folder and look at everything in it. Raises InputError for what is no bundle.

    Figures are computed again only where every digest fits: from changed times they would be other ones.
    """
    if problems := unpack(path, folder):
        return Verified(problems)
    try:
        old = folder / OLD_SUMS
        about = read_json(old if old.is_file() else folder / ABOUT, About)
        campaign = open_campaign(folder / RESULTS)
        results = analyse(campaign, about.analysis)
        assessment = None if about.requirements is None else assessed(REQUIREMENTS, (folder / REQUIREMENTS).read_bytes(), results)
    except (InputError, OSError) as error:  # whoever made the bundle, made its digests of damaged files
        return Verified([f"{RESULTS}: {str(error).replace(f'{folder}/', '')}"])
    same = about.program_digest == digest_code()
    if (campaign.record.name, campaign.record.created_at) != (about.campaign.name, about.campaign.created_at):
        problems.append(f"{ABOUT}: names another campaign than {RESULTS}/campaign.json")
    problems += _tables(folder, results, same)
    environment = json.loads(json_text(environment_of(campaign.record, results.records)))
    if same and (told := _document(folder / ENVIRONMENT, lambda stored: difference(stored, environment))):
        problems.append(f"{ENVIRONMENT}: {told}")
    if assessment is not None and (told := _document(folder / ASSESSMENT, lambda stored: _other_verdict(stored, assessment, same))):
        problems.append(f"{ASSESSMENT}: {told}")
    remark = (
        f"other code than this made the bundle (version {about.program_version}; this is {orchestrator.__version__}): tables and verdicts "
        "follow from the times; columns that one of the two does not know were not compared"
    )
    files = sum(each.is_file() for each in folder.rglob("*")) - 1  # without the sums
    trials = sum(len(group.trials) for group in results.groups)
    return Verified(problems, about, files, trials, assessment, None if same else remark)


def _tables(folder: Path, results: CampaignAnalysis, same: bool) -> Iterator[str]:
    """Yield what does not follow from the stored times of result tables, one line each; of other code's, in the columns that both know."""
    for name, table in results.tables.items():
        file = f"{RESULTS}/{name}.parquet"
        if not (folder / file).is_file():
            if same and table.num_rows:
                yield f"{file}: is missing"
            continue
        try:
            stored = read_table(folder / file)
        except InputError as error:
            yield str(error).replace(f"{folder}/", "")
            continue
        known = [name for name in stored.column_names if name in table.column_names]
        if same and stored.column_names != table.column_names:
            yield f"{file}: its columns are not those of this program"
        elif told := difference(stored.select(known).to_pydict(), table.select(known).to_pydict()):
            yield f"{file}: {told}"


def _document(path: Path, look: Callable[[Any], str | None]) -> str | None:
    """Return what is found of a bundled JSON document, or that it is none."""
    try:
        return look(parse_json(read_regular(path, LONGEST_TEXT), finite=False))
    except (OSError, ValueError, LookupError, TypeError):
        return "is not what this program writes"


def _other_verdict(stored: Any, assessment: Assessment, same: bool) -> str | None:
    """Return the first verdict that is another one, or else, of the same program, the first figure."""
    found = json.loads(json_text(to_document(assessment)))
    told, shown = ({one["id"]: one["verdict"] for one in document["requirements"]} for document in (stored, found))
    return difference(told, shown) or (difference(stored, found) if same else None)


def difference(stored: Any, found: Any, place: str = "") -> str | None:
    """Return in words the first difference between plain values, by the path to it, or None; floats may differ in their last digits.

    Examples
    --------
    >>> difference({"mean": [0.5]}, {"mean": [0.5 + 1e-12]})
    >>> difference({"mean": [0.5]}, {"mean": [0.6]})
    'mean.0 is 0.5, and the timings give 0.6'
    """
    pairs: Iterator[tuple[Any, Any, Any]] | None = None
    if isinstance(stored, Mapping) and isinstance(found, Mapping) and stored.keys() == found.keys():
        pairs = ((key, stored[key], found[key]) for key in stored)
    elif isinstance(stored, list | tuple) and isinstance(found, list | tuple) and len(stored) == len(found):
        pairs = ((number, *pair) for number, pair in enumerate(zip(stored, found, strict=True)))
    if pairs is None:
        return None if _alike(stored, found, place) else f"{place or 'it'} is {_shown(stored)}, and the timings give {_shown(found)}"
    told = (difference(mine, theirs, f"{place}.{key}" if place else str(key)) for key, mine, theirs in pairs)
    return next(filter(None, told), None)


def _alike(mine: Any, theirs: Any, place: str) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (mine, theirs))
    if numbers and isinstance(mine, int) and isinstance(theirs, int):
        return abs(mine - theirs) <= (NANOSECOND if "_ns" in place else 0)
    if numbers:
        return math.isclose(mine, theirs, rel_tol=RELATIVE, abs_tol=ABSOLUTE) or (math.isnan(mine) and math.isnan(theirs))
    return type(mine) is type(theirs) and bool(mine == theirs)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:30]} ... {text[-30:]}"
