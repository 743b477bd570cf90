"""Train the reader from nothing on made-up ranking tasks; no user and no data set takes part.

    .venv-vllm/bin/python -m benchmarks.models.reader.train --out DIR [--minutes 30] [--seed 2026]

One thread. The loss is the cross-entropy between the target over candidates and the
probabilities of their labels as the one answer token. Tasks begin small and grow to the largest
prompt there is. ``DIR/log.jsonl`` has the validation figures as it goes, ``DIR/checkpoint.pt`` is
what a killed run goes on from.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from app.domain.recommendation.prompt import LABELS
from app.domain.recommendation.prompt_template import PromptTemplate
from benchmarks.models.reader.examples import Example, Examples, Source, validation
from benchmarks.models.reader.network import Reader
from benchmarks.models.reader.tasks import note_words
from benchmarks.models.reader.vocabulary import LINES, SPECIALS, make_tokenizer
from benchmarks.models.reader.words import Floats, Words

SEED: Final = 2026
PEAK_RATE: Final = 1.5e-4
"""Still too much for the weights that it begins with: 150 steps lose them (ADR 0026)."""
WARM_UP_STEPS: Final = 40
CHECK_EVERY: Final = 150
AT: Final = 10
N_WANTED: Final = 5
"""Candidates that count as right in the validation: those that truly suit best."""


def padded(batch: list[Example], *, pad: int) -> tuple[Tensor, Tensor]:
    """Return ids, padded on the right, and the place of each prompt's last token."""
    longest = max(len(one.ids) for one in batch)
    ids = torch.full((len(batch), longest), pad)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
    return ids, torch.tensor([len(one.ids) - 1 for one in batch])


def ndcg(scores: Floats, suits: Floats) -> float:
    """Return NDCG@10 where the ``N_WANTED`` that suit best are right."""
    shown = np.flatnonzero(~np.isnan(suits))
    wanted = set(shown[np.argsort(-suits[shown])[:N_WANTED]].tolist())
    ranked = shown[np.argsort(-scores[shown], kind="stable")[:AT]]
    discounts = 1 / np.log2(np.arange(2, AT + 2))
    gained = sum(discounts[place] for place, one in enumerate(ranked.tolist()) if one in wanted)
    return float(gained / discounts[:N_WANTED].sum())


class Trainer:
    """Holds network, optimiser and how far it has come."""

    def __init__(self, *, out: Path, minutes: float, seed: int) -> None:
        torch.set_num_threads(1)
        self.out, self.seconds = out, 60 * minutes
        words = Words.load()
        self.tokenizer = make_tokenizer()
        self.examples = Examples(self.tokenizer, words)
        self.reader = Reader(
            self.tokenizer,
            words,
            frame=frame_ids(self.tokenizer, self.examples.template),
            seed=seed,
        )
        self.labels = torch.tensor(self.tokenizer.convert_tokens_to_ids(list(LABELS)))
        matrices = [one for one in self.reader.parameters() if one.requires_grad and one.ndim > 1]
        rest = [one for one in self.reader.parameters() if one.requires_grad and one.ndim == 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}],
            lr=PEAK_RATE,
            betas=(0.9, 0.98),
        )
        self.step, self.spent_s = 0, 0.0
        self._resume()
        self.source = Source(self.examples, words, seed=seed + self.step)
        self.checks = validation(self.examples, words, seed=seed)

    def run(self, *, chunk_minutes: float) -> None:
        """Train until the time is spent, or stop after so many minutes to be run again."""
        losses: list[float] = []
        stop_at = time.monotonic() + 60 * chunk_minutes
        while self.spent_s < self.seconds and time.monotonic() < stop_at:
            started = time.monotonic()
            losses.append(self._learn())
            self.step += 1
            self.spent_s += time.monotonic() - started
            if self.step % CHECK_EVERY == 0:
                self._log(loss=float(np.mean(losses)), **self.figures())
                self._save()
                losses = []
        self._log(loss=float(np.mean(losses or [0])), **self.figures())
        self._save()

    def _learn(self) -> float:
        progress = self.spent_s / self.seconds
        warm = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        rate = PEAK_RATE * warm * (0.03 + 0.97 * (1 + math.cos(math.pi * min(progress, 1))) / 2)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = self.source.batch(progress=progress)
        target = torch.from_numpy(np.stack([one.target for one in batch]))
        logits = self._logits(batch).masked_fill(target == 0, -1e9)
        loss = -(target * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
        entropy = torch.special.entr(target).sum(dim=1).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.reader.parameters(), 1.0)
        self.optimiser.step()
        return float(loss.detach() - entropy)

    def _logits(self, batch: list[Example]) -> Tensor:
        ids, last = padded(batch, pad=self.tokenizer.pad_token_id)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.reader(ids, last=last, labels=self.labels)

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """Return NDCG@10 of the reader, the embedder's cosine and chance on each validation set."""
        found = {}
        rng = np.random.default_rng(0)
        for name, examples in self.checks.items():
            scores = [self._logits([one])[0].float().numpy() for one in examples]
            pairs = list(zip(scores, examples, strict=True))
            found[f"{name}_reader"] = np.mean([ndcg(one, two.suits) for one, two in pairs])
            found[f"{name}_cosine"] = np.mean([ndcg(two.cosine, two.suits) for two in examples])
            found[f"{name}_chance"] = np.mean(
                [ndcg(rng.permutation(len(LABELS)).astype(float), two.suits) for two in examples]
            )
            found[f"{name}_pick"] = np.mean([two.suits[_best(one, two)] for one, two in pairs])
            found[f"{name}_cosine_pick"] = np.mean(
                [two.suits[_best(two.cosine, two)] for two in examples]
            )
        return {name: round(float(value), 4) for name, value in found.items()}

    def _log(self, **figures: float) -> None:
        line = {"step": self.step, "minutes": round(self.spent_s / 60, 2), **figures}
        print(json.dumps(line), flush=True)
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        state = {
            "reader": self.reader.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
        }
        torch.save(state, self.out / "checkpoint.new")
        (self.out / "checkpoint.new").rename(self.out / "checkpoint.pt")

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if path.is_file():
            state = torch.load(path, weights_only=True)
            self.reader.load_state_dict(state["reader"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.spent_s = state["step"], state["spent_s"]


def _best(scores: Floats, example: Example) -> int:
    return int(np.nanargmax(np.where(np.isnan(example.suits), np.nan, scores)))


def frame_ids(tokenizer: PreTrainedTokenizerFast, template: PromptTemplate) -> list[int]:
    """Return the tokens that are learned: the frame of every prompt, signs, digits, small words."""
    texts = [
        *(text for name in template.__slots__ if isinstance(text := getattr(template, name), str)),
        *note_words(),
        "0 1 2 3 4 5 6 7 8 9 year",
    ]
    found = set(tokenizer.convert_tokens_to_ids([*SPECIALS, *LINES, *LABELS]))
    for text in texts:
        found |= set(tokenizer(text, add_special_tokens=False)["input_ids"])
    signs = [token for token in tokenizer.get_vocab() if len(token) == 1 and not token.isalnum()]
    return sorted(found | set(tokenizer.convert_tokens_to_ids(signs)))


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0, help="spent learning, in all")
    parser.add_argument("--chunk-minutes", type=float, default=1e9, help="wall time of this one")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(out=options.out, minutes=options.minutes, seed=options.seed)
    trainer.run(chunk_minutes=options.chunk_minutes)


if __name__ == "__main__":
    main()
