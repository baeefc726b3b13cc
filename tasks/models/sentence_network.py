"""From tokens to scores of classes: an encoder, the mean over its tokens, and a small head."""

from __future__ import annotations

from typing import Any


def build_head(width: int, hidden: int, classes: int) -> Any:
    """Return a head with one hidden layer, from an embedding of ``width`` numbers to one score per class."""
    from torch import nn

    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, classes))


def build_sentence_network(encoder: Any, head: Any) -> Any:
    """Return a network that turns ``input_ids`` and ``attention_mask`` into the head's scores, [samples, classes]."""
    from torch import nn

    class SentenceNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.head = head

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.head(mean_embedding(self.encoder, input_ids, attention_mask))

    return SentenceNetwork()


def mean_embedding(encoder: Any, input_ids: Any, attention_mask: Any) -> Any:
    """Return one embedding per text, [samples, width]: the mean over its tokens, of length 1."""
    from torch.nn.functional import normalize

    states = encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return normalize((states * weights).sum(1) / weights.sum(1), dim=-1)
