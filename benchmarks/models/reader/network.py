"""The reader's network: a Llama of three layers that begins as a reader and learns to read better.

Of its 256 dimensions the first 138 are the embedder's (its columns are sorted by variance), and
stay as they are for ordinary words, so a word that no training text had still means what it
means. The rest is structure. The weights begin as an algorithm and not as noise (``begin.py``),
because minutes of one core are too little to find it and enough to better it.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.models.reader.begin import (
    FRAME,
    HEAD,
    HEADS,
    HIDDEN,
    LAYERS,
    MEANING,
    ROPE_THETA,
    begin_layers,
    begin_table,
)
from benchmarks.models.reader.vocabulary import CONTEXT_TOKENS, pieces
from benchmarks.models.reader.words import Words

TYPICAL_NORM: Final = 180.0
"""Of the embedder's vectors, which keep the lengths that weigh common words down."""


def make_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Return the shape of the network."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=512,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD,
        attention_bias=True,
        max_position_embeddings=CONTEXT_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


class Reader(nn.Module):
    """A Llama in training: ordinary words are frozen, the tokens of the frame are not.

    Args:
        tokenizer: its vocabulary.
        words: the embedder.
        frame: ids of the tokens that are learned.
        seed: of everything random.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, words: Words, *, frame: list[int], seed: int
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.llama = LlamaForCausalLM(make_config(tokenizer))
        begin_layers(self.llama)
        table = _initial_table(tokenizer, words)
        begin_table(table, tokenizer)
        learned = torch.tensor(frame)
        self.learned = nn.Parameter(table[learned].clone())
        table[learned] = 0
        self.register_buffer("frozen", table)
        places = torch.zeros(len(table), dtype=torch.long)
        places[learned] = torch.arange(1, len(frame) + 1)
        self.register_buffer("places", places)
        self.register_buffer("frame", learned)
        for parameter in self.llama.get_input_embeddings().parameters():
            parameter.requires_grad = False

    def forward(self, ids: Tensor, *, last: Tensor, labels: Tensor) -> Tensor:
        """Return the logits of the labels' tokens behind each prompt.

        Args:
            ids: shape (b, t), padded on the right.
            last: place of each prompt's last token, shape (b,).
            labels: ids of the labels, shape (52,), all learned tokens.
        """
        learned = functional.pad(self.learned, (0, 0, 1, 0))
        embedded = functional.embedding(ids, self.frozen) + functional.embedding(
            self.places[ids], learned
        )
        hidden = self.llama.model(inputs_embeds=embedded, use_cache=False).last_hidden_state
        answer = hidden[torch.arange(len(ids)), last].float()
        return answer @ learned[self.places[labels]].T

    def finished(self) -> LlamaForCausalLM:
        """Return the Llama with all tokens in its own table."""
        with torch.no_grad():
            weight = self.llama.get_input_embeddings().weight
            weight.copy_(self.frozen)
            weight[self.frame] = self.learned
        return self.llama


def _initial_table(tokenizer: PreTrainedTokenizerFast, words: Words) -> Tensor:
    """Return the embedder's vectors where it has them, nothing for tokens of ours."""
    table = torch.zeros(len(tokenizer), HIDDEN)
    known = pieces()
    ids = torch.tensor(tokenizer.convert_tokens_to_ids(list(known)))
    table[ids, :MEANING] = (
        torch.from_numpy(words.table[list(known.values())][:, :MEANING]) / TYPICAL_NORM
    )
    table[:, FRAME.always] = 0.5
    return table
