"""Your model: a network of PyTorch. It runs with runtime=torch, torch_compile, torchscript and onnxruntime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import my_task

from orchestrator.contracts import LoadContext
from tasks.runtimes.session import Session, open_session


class MyModel:
    """Every further key of `conf/model/my_model.yaml` is an argument of the constructor. No framework is imported before `load`."""

    def check(self) -> None:
        """Raise orchestrator.contracts.InputError for a mistake in the keys or the files, before anything is measured."""

    def files(self) -> Sequence[Path]:
        """Return the files of the weights: their content is part of a trial's identity. This model has none."""
        return ()

    def load(self, context: LoadContext) -> "Loaded":
        """Return the network, ready to answer. Runs in the timed process; replace the training by reading your weights."""
        import torch

        torch.manual_seed(0)
        numbers, classes = my_task.training()
        network = torch.nn.Linear(numbers.shape[1], len(my_task.CLASSES))
        optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
        for _ in range(100):
            optimizer.zero_grad()
            loss: Any = torch.nn.functional.cross_entropy(network(torch.tensor(numbers)), torch.tensor(classes))
            loss.backward()
            optimizer.step()
        return Loaded(open_session(context, network, numbers[: context.batch]))


class Loaded:
    """The three stages that clocks measure."""

    def __init__(self, session: Session) -> None:
        self.session, self.facts = session, session.facts
        self.infer = session.infer

    def input_size(self, sample: Any) -> int:
        """Return the size of one sample."""
        return int(my_task.inputs([sample]).size)

    def preprocess(self, samples: Sequence[Any]) -> Any:
        """Return the inputs on the device."""
        return self.session.upload(my_task.inputs(samples))

    def postprocess(self, outputs: Any) -> list[Any]:
        """Return one answer for each sample."""
        answers: list[Any] = my_task.answers(self.session.download(outputs))
        return answers
