"""Networks and tokenizers by transformers: from a local folder, a GGUF file, or the Hugging Face hub."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from orchestrator.contracts import InputError, first_line
from tasks.models.pretrained_checks import check_architecture, check_gguf, named_architectures
from tasks.packages import LANGUAGE, Need, require_modules

SWITCHES = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # nothing about the user's machines leaves them
    "DISABLE_SAFETENSORS_CONVERSION": "1",  # or a thread asks the hub to convert old checkpoints
    "TOKENIZERS_PARALLELISM": "false",  # the trial's threads are set elsewhere
}
NEEDS = (
    Need("language models", "transformers", "networks, tokenizers", LANGUAGE),
    Need("language models as GGUF", "gguf", "weights", LANGUAGE),
    Need("language models as GGUF", "accelerate", "weights", LANGUAGE),
    Need("Vicuna and others with tokenizer.model", "sentencepiece", "tokenizers", LANGUAGE),
)


@dataclass(frozen=True)
class Pretrained:
    """Where weights and tokenizer lie: ``place`` is a folder, a GGUF file or a name on the hub (at ``revision``)."""

    place: Path | str
    revision: str | None = None

    def check(self, architecture: str | None) -> None:
        """Raise InputError for what is wrong with a local place. Imports no framework.

        ``architecture`` is the name of the network's class that a folder must be of; None takes any.
        """
        require_modules(("torch", "transformers"), "a model by transformers", LANGUAGE)
        if isinstance(self.place, str):
            return
        if self.place.is_file():
            require_modules(("gguf", "accelerate"), f"model.path={self.place}", LANGUAGE)
            check_gguf(self.place)
        elif self.place.is_dir():
            check_architecture(architecture, named_architectures(self.place), self._shown)
            self.files()
        else:
            raise InputError(
                f"{self._shown} does not exist; set it to a folder with config.json, or to a GGUF file",
                "not_found",
                "model.path",
                self.place,
            )

    def files(self) -> list[Path]:
        """Return the local files that decide what the network answers: weights, configuration, tokenizer.

        Raises
        ------
        InputError
            where a folder holds no weights.
        """
        if isinstance(self.place, str):
            return []
        if self.place.is_file():
            return [self.place]
        weights = sorted(self.place.glob("*.safetensors")) or sorted(self.place.glob("pytorch_model*.bin"))
        if not weights:
            raise InputError(
                f"{self._shown} holds no weights (*.safetensors or pytorch_model*.bin); set it to a folder that does",
                "not_found",
                "model.path",
                self.place,
            )
        return weights + sorted(path for pattern in ("*.json", "*.model", "vocab.txt", "merges.txt") for path in self.place.glob(pattern))

    def fetches(self) -> str | None:
        """Return what is fetched on first use, or None for a local place."""
        return f"{self.place} from the Hugging Face hub" if isinstance(self.place, str) else None

    def tokenizer(self) -> Any:
        """Return the tokenizer that belongs to the weights."""
        with self._one_line("tokenizer"):
            tokenizer: Any = resolve_name("transformers:AutoTokenizer").from_pretrained(**self._where())
        return tokenizer

    def network(self, family: str, architecture: str | None, dtype: str, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Return the network with all its weights, on the CPU, and what is known about it as plain JSON values.

        Parameters
        ----------
        family
            transformers' automatic class, such as ``AutoModelForCausalLM``.
        dtype
            PyTorch's name of the numbers that the weights become.
        options
            arguments of the network's class.

        Raises
        ------
        InputError
            for a checkpoint of another architecture, or with weights missing or of another shape.
        """
        with self._one_line("weights"):
            network, report = resolve_name(f"transformers:{family}").from_pretrained(
                **self._where(), dtype=dtype, output_loading_info=True, use_safetensors=None, **options
            )
        name = type(network).__name__
        check_architecture(architecture, [name], self._shown)
        missing = sorted(map(str, report["missing_keys"] | report["mismatched_keys"]))
        if missing:
            raise InputError(
                f"{self._shown} holds no weights of {name}: {missing[0]} is missing ({len(missing)} in all); take another file",
                "damaged",
                "model.path",
                self.place,
            )
        facts = {"architecture": name, "parameters": sum(weight.numel() for weight in network.parameters())}
        revision = getattr(network.config, "_commit_hash", None)  # the hub's revision has no public name; None where it is gone
        return network, {**facts, "weights_revision": revision} if revision else facts

    @property
    def _shown(self) -> str:
        return f"model.hub={self.place}" if isinstance(self.place, str) else f"model.path={self.place}"

    def _where(self) -> Mapping[str, Any]:
        """Return the arguments that tell transformers where to look; nothing local asks the network."""
        if isinstance(self.place, str):
            return {"pretrained_model_name_or_path": self.place, "revision": self.revision or "main"}
        if self.place.is_file():
            return {"pretrained_model_name_or_path": str(self.place.parent), "gguf_file": self.place.name, "local_files_only": True}
        return {"pretrained_model_name_or_path": str(self.place), "local_files_only": True}

    @contextmanager
    def _one_line(self, what: str) -> Iterator[None]:
        """Set transformers' switches, and tell whatever it raises in one line."""
        for name, value in SWITCHES.items():
            os.environ.setdefault(name, value)
        logging = resolve_name("transformers.utils.logging")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            with redirect_stderr(io.StringIO()):  # a progress bar of its own for GGUF
                yield
        except Exception as error:  # broken files make transformers raise almost anything
            remedy = "put the files into a folder and set model.path=DIR" if isinstance(self.place, str) else "take another file"
            raise InputError(
                f"{self._shown}: {what} cannot be loaded ({first_line(error)}); {remedy}", "damaged", "model.path", self.place
            ) from error
