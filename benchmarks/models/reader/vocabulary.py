"""The reader's tokenizer: word pieces of the bundled embedder, and tokens for the prompt's frame.

A line break and the label behind it are one token, which no text inside the fences can contain:
texts are shown without line breaks. Text is lower-cased, so the labels ``A`` to ``Z`` of the
answer are tokens that only the model itself can write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from app.domain.recommendation.prompt import LABELS

ROOT: Final = Path(__file__).resolve().parents[3]
EMBEDDER: Final = ROOT / "app" / "data" / "embedder" / "static-minilm-256"
CONTEXT_TOKENS: Final = 8192
PAD, UNKNOWN, BEGIN, END = "<|pad|>", "<|unknown|>", "<|begin|>", "<|end|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIALS: Final = (PAD, UNKNOWN, BEGIN, END, SYSTEM, USER, ASSISTANT)
OTHER_LINE, MEMORY_LINE, FENCE_LINE = "\n", "\n- ", "\n==="
LINES: Final = (*(f"\n{label})" for label in LABELS), MEMORY_LINE, OTHER_LINE, FENCE_LINE)
"""What begins a line: a labelled candidate, a memory, nothing in particular, a fence."""
LAST_KEPT_CHAR: Final = "\u024f"
"""The end of Latin Extended-B: pieces of other scripts are left out, they are bare letters."""
CHAT_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages if message['role'] != 'system' %}"
    "<|{{ message['role'] }}|>{{ '\\n' + message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Without the system message: it never changes, and a reader made for one task need not be told."""


def pieces() -> dict[str, int]:
    """Return the embedder's word pieces that are kept, each with its row there."""
    data = json.loads((EMBEDDER / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = data["model"]["vocab"]
    return {
        piece: row
        for piece, row in vocabulary.items()
        if piece not in {"[PAD]", "[UNK]"} and max(piece) <= LAST_KEPT_CHAR
    }


def vocabulary() -> list[str]:
    """Return every token of the base vocabulary, by id; line tokens follow behind it."""
    capitals = [label for label in LABELS if label.isupper()]
    return [*SPECIALS, *capitals, *pieces()]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer; it needs nothing but the embedder's file."""
    ids = {token: number for number, token in enumerate(vocabulary())}
    wordpiece = Tokenizer(
        models.WordPiece(vocab=ids, unk_token=UNKNOWN, max_input_chars_per_word=64)
    )
    wordpiece.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True
    )
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # Answers are labels and JSON, so tokens are joined without spaces.
    wordpiece.decoder = decoders.Fuse()
    wordpiece.add_tokens([AddedToken(line, normalized=False, special=False) for line in LINES])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=wordpiece,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        extra_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
