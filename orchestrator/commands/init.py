"""``init NAME``: the files of a model and a task of one's own."""

import os
import re
from pathlib import Path
from string import Template

import click

from orchestrator.commands.line import verb
from orchestrator.contracts import InputError

TEMPLATES = Path(__file__).parents[2] / "tasks" / "templates"
# What the command line of a run says of each model, and the kind of each task
MODELS = {
    "torch": "runtime=torch",
    "onnx": "runtime=onnxruntime",
    "sklearn": "runtime=python",
    "server": "runtime=http_json server=my_server",
}
TASKS = {"images": "image_classification", "texts": "text_classification", "table": "table"}


@verb("init my_project --model torch --task images", "init my_service --model server --task texts")
@click.argument("name", metavar="NAME")
@click.option("--model", type=click.Choice(list(MODELS)), required=True, help="what answers; server starts a small one of its own")
@click.option("--task", type=click.Choice(list(TASKS)), required=True, help="what is answered")
def command(name: str, model: str, task: str) -> int:
    """Write the files of a model and a task of your own.

    Make a folder NAME with a tiny model and tiny data, which run as they are, and a README with the command. Comments in
    the files say what to replace.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise InputError(
            f"{name!r} must be letters, digits, _ and -, beginning with a letter; choose a name such as my_project", "invalid", "NAME", name
        )
    folder = Path(name)
    if os.path.lexists(folder):
        raise InputError(f"{name}: is there already, and nothing is overwritten; choose another name", "exists", "NAME", name)
    words = {"name": name, "words": MODELS[model], "kind": TASKS[task]}
    wanted = {TEMPLATES / "README.md": folder / "README.md"}
    for kind, chosen in {"model": model, "task": task, "server": model}.items():
        for path in sorted((TEMPLATES / kind).glob(f"{chosen}.*")):
            wanted[path] = folder / ("" if path.suffix == ".py" else f"conf/{kind}") / f"my_{kind}{path.suffix}"
    for path, target in wanted.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(path.read_text("utf-8")).safe_substitute(words), "utf-8")
    click.echo((folder / "README.md").read_text("utf-8"), nl=False)
    return 0
