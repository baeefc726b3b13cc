"""``--cfg job`` prints every composed trial as YAML, ``--info`` the choices of every group. Both start nothing."""

from __future__ import annotations

from orchestrator.commands.arguments import Arguments
from orchestrator.composition import compose_trials, list_choices, shipped_folder, to_yaml
from orchestrator.report.printable import printable


def execute(arguments: Arguments) -> int:
    """Print what the command line asks for on stdout. Returns the exit code."""
    if arguments.show_choices:
        print(printable(" ".join(map(str, ["configuration folders:", shipped_folder(), *arguments.config_dirs]))))  # noqa: T201
        for group, choices in list_choices(arguments.config_dirs).items():
            print(printable(f"{group}: {' '.join(choices) or '(none)'}"))  # noqa: T201
        return 0
    composition = compose_trials(arguments.overrides, arguments.multirun, arguments.config_dirs, many=arguments.many)
    print("---\n".join(to_yaml(document) for document in composition.documents), end="")  # noqa: T201
    return 0
