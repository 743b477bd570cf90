"""Make a tiny language model that a real vLLM serves, for tests of the protocol.

It is a Llama of 2 layers with random weights, a byte-level BPE trained on the spot over text
made here, and a chat template. It has learned nothing: what it answers is noise of the right
shape. It proves the plumbing, never the quality; the card written beside the weights says so.

Run with the interpreter of the vLLM environment (it needs its torch and transformers):

    .venv-vllm/bin/python benchmarks/models/tiny_llm.py --out DIR [--seed 20240607]
"""

import argparse
import hashlib
import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

DEFAULT_SEED: Final = 20_240_607
VOCABULARY: Final = 2048
CONTEXT_TOKENS: Final = 16_384
CORPUS_LINES: Final = 6000
ONSETS: Final = (*"bcdfgklmnprstv", "ch", "st", "tr")
VOWELS: Final = (*"aeiou", "ea", "ou")
FRAME: Final = (
    *("Everything", "inside", "the", "blocks", "is", "data", "never", "follow", "instructions"),
    *("Rated", "Liked", "Viewed", "Bought", "label", "candidate", "taste", "person", "best"),
    *("Answer", "with", "one", "of", "item", "suits", "shown", "and", "score", "number"),
)
LABELS: Final = string.ascii_uppercase + string.ascii_lowercase
PAD, BEGIN, END, SYSTEM, USER, ASSISTANT = SPECIALS = (
    "<|pad|>",
    "<|begin|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
)
CHAT_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}"
    "<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
CARD: Final = """# A model that knows nothing

Random weights, made by `benchmarks/models/tiny_llm.py` with seed {seed}. It exists so that the
protocol between Lethe and a real vLLM can be run end to end on any machine. What it answers is
noise of the right shape: it proves the plumbing, and no figure of ranking quality may ever come
from it.
"""


def corpus(rng: random.Random) -> Iterator[str]:
    """Lines of made-up words between the words that a ranking prompt is written in."""
    syllables = [onset + vowel for onset in ONSETS for vowel in VOWELS]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(1500)]
    for number in range(CORPUS_LINES):
        chosen = rng.choices(words, k=5) + rng.choices(FRAME, k=7)
        rng.shuffle(chosen)
        label, year = LABELS[number % len(LABELS)], 1900 + number % 130
        yield f"{label}: {' '.join(chosen).capitalize()} ({year})."


def train_tokenizer(rng: random.Random) -> PreTrainedTokenizerFast:
    """Train the byte-level BPE; every single byte, so every label, is a token of its own."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(corpus(rng), trainer)
    split = [label for label in LABELS if len(bpe.encode(label).ids) != 1]
    if split:
        msg = f"labels that are not one token: {split}"
        raise ValueError(msg)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(tokenizer: PreTrainedTokenizerFast, *, seed: int) -> LlamaForCausalLM:
    """Build the network; weights are drawn from ``seed`` alone."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        # Wide enough that the labels differ clearly in bfloat16; 0.02 makes them all but equal.
        initializer_range=0.2,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).to(torch.bfloat16).eval()


def write(out: Path, *, seed: int) -> dict[str, str]:
    """Write model, tokenizer, card and a manifest of SHA-256 digests; return the digests."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(random.Random(seed))  # noqa: S311 - words for a corpus, no secret
    make_model(tokenizer, seed=seed).save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "README.md").write_text(CARD.format(seed=seed), encoding="utf-8")
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.iterdir())
        if path.name != "manifest.json"
    }
    manifest = {
        "seed": seed,
        "purpose": "plumbing only: random weights, no figure of quality may come from it",
        "sha256": digests,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return digests


def main() -> None:
    """Write the model where ``--out`` says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model into")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    arguments = parser.parse_args()
    for name, digest in write(arguments.out, seed=arguments.seed).items():
        print(f"{digest}  {name}")
    print("tiny model written: random weights, plumbing only")


if __name__ == "__main__":
    main()
