"""Your model: a server that takes JSON. `conf/server/my_server.yaml` starts the one of `my_server.py`, or name the URL of another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import my_task
import numpy as np

from orchestrator.contracts import LoadContext
from tasks.runtimes.asking import AskedSession, open_asking


class MyModel:
    """Every further key of `conf/model/my_model.yaml` is an argument of the constructor, such as `request`."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.request = request

    def check(self) -> None:
        """Raise orchestrator.contracts.InputError for a mistake in the keys, before anything is measured."""

    def files(self) -> Sequence[Path]:
        """Return no file: the weights are the server's."""
        return ()

    def load(self, context: LoadContext) -> "Loaded":
        """Return what asks the server. Runs in the timed process."""
        return Loaded(open_asking(context, self.request))


class Loaded:
    """The three stages that clocks measure."""

    def __init__(self, session: AskedSession) -> None:
        self.session, self.facts = session, session.facts
        self.infer = session.infer

    def input_size(self, sample: Any) -> int:
        """Return the size of one sample."""
        return int(my_task.inputs([sample]).size)

    def preprocess(self, samples: Sequence[Any]) -> Any:
        """Return the request; `{numbers}` of the YAML stands for these."""
        return self.session.upload({"numbers": my_task.inputs(samples).tolist()})

    def postprocess(self, outputs: Any) -> list[Any]:
        """Return one answer for each sample, from what stands in `request.answer`."""
        answers: list[Any] = my_task.answers(np.array(self.session.download(outputs)))
        return answers
