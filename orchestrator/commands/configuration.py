"""``--cfg job`` prints every composed trial as YAML, ``--info`` the choices of every group. Both start nothing."""

from __future__ import annotations

from orchestrator.commands.shared_options import Composing
from orchestrator.composition import compose_trials, list_choices, shipped_folder, to_yaml
from orchestrator.report.printable import printable


def show(options: Composing) -> int:
    """Print what the command line asks for on stdout. Returns the exit code."""
    if options.shows == "choices":
        print(printable(" ".join(map(str, ["configuration folders:", shipped_folder(), *options.config_dirs]))))  # noqa: T201
        for group, choices in list_choices(options.config_dirs).items():
            print(printable(f"{group}: {' '.join(choices) or '(none)'}"))  # noqa: T201
        return 0
    composition = compose_trials(options.overrides, options.multirun, options.config_dirs, many=options.many)
    print("---\n".join(to_yaml(document) for document in composition.documents), end="")  # noqa: T201
    return 0
