"""Ask a language model about the labelled topics and notes, by likelihood alone.

    .venv-vllm/bin/python -m benchmarks.words.likelihoods --model DIR [--seed 2026]

``DIR`` is what ``benchmarks.models.smollm2`` makes. It runs the model itself, on one thread: what
is measured is what it can tell, and not how fast a server is. By pair of ``topics.tsv``: ``query``,
log P(topic | item) - log P(topic), and ``item``, log P(item | topic) - log P(item). By note of
``senses.tsv``: ``tail``, log P("I do not want it" | note) less the same of "I want more of it",
and ``label``, of the answers "dislikes" and "likes". ``benchmarks.words.topics`` and
``benchmarks.words.senses`` read ``results/likelihoods.json``.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.harness import write_result

HERE = Path(__file__).parent
BATCH = 16


class Model:
    """A causal language model in float32."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return log P(second | first) of each pair."""
        found: list[float] = []
        for start in range(0, len(pairs), BATCH):
            told = [
                [self._tokenizer(one, add_special_tokens=False).input_ids for one in pair]
                for pair in pairs[start : start + BATCH]
            ]
            begin = self._tokenizer.bos_token_id
            rows = [torch.tensor([begin, *first, *second]) for first, second in told]
            padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            with torch.inference_mode():
                logits = self._model(padded).logits.float().log_softmax(-1)
            for row, (_, second), scores in zip(rows, told, logits, strict=True):
                places = torch.arange(len(row) - len(second), len(row))
                found.append(round(float(scores[places - 1, row[places]].sum()), 4))
        return found

    def gains(
        self, first: Sequence[tuple[str, str]], second: Sequence[tuple[str, str]]
    ) -> list[float]:
        """Return how much likelier the first pairs are than the second."""
        ours, theirs = self.likelihoods(first), self.likelihoods(second)
        return [round(a - b, 4) for a, b in zip(ours, theirs, strict=True)]


def rows_of(name: str) -> list[dict[str, str]]:
    """Return the rows of a labelled set."""
    with (HERE / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def main() -> None:
    """Ask, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    model = Model(options.model)
    topics = [(row["topic"], f"{row['title']} | {row['text']}") for row in rows_of("topics")]
    notes = [row["note"] for row in rows_of("senses")]
    asked = 'A reader said: "{}" Does the reader like or dislike such books? The reader'
    result = {
        "seed": options.seed,
        "model": "SmolLM2-135M-Instruct",
        "topics": {
            "query": model.gains(
                [(f"{item}\nThis is about", f" {topic}") for topic, item in topics],
                [("A book or film\nThis is about", f" {topic}") for topic, _ in topics],
            ),
            "item": model.gains(
                [(f"A book or film about {topic}:\n", item) for topic, item in topics],
                [("A book or film:\n", item) for _, item in topics],
            ),
        },
        "senses": {
            "tail": model.gains(
                [(note, " I do not want any of it.") for note in notes],
                [(note, " I want more of it.") for note in notes],
            ),
            "label": model.gains(
                [(asked.format(note), " dislikes") for note in notes],
                [(asked.format(note), " likes") for note in notes],
            ),
        },
    }
    print(write_result("likelihoods", result))


if __name__ == "__main__":
    main()
