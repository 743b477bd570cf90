"""The model that stands for a server reads what prompts share once, and says the same of them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from app.adapters.llm.client import LlmChannel, LlmServer
from app.adapters.llm.likelihood import LikelihoodRanker
from tests.contract.ranker_connected import new_prompting
from tests.contract.ranker_suite import ranking_task

pytestmark = pytest.mark.torch

VOCABULARY = 64
LAYERS = 2
SHAPE = {
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-5,
}
WIDTH, INNER = 48, 96


def random_model(folder: Path) -> None:
    """Write a model of the same shape, smaller, with weights of chance and a word a token."""
    rng = np.random.default_rng(3)
    sizes = {"model.embed_tokens": (VOCABULARY, WIDTH)}
    norms = ["model.norm"]
    for number in range(LAYERS):
        name = f"model.layers.{number}"
        norms += [f"{name}.input_layernorm", f"{name}.post_attention_layernorm"]
        sizes |= {f"{name}.self_attn.{one}_proj": (WIDTH, WIDTH) for one in "qo"}
        sizes |= {f"{name}.self_attn.{one}_proj": (16, WIDTH) for one in "kv"}
        sizes |= {f"{name}.mlp.{one}_proj": (INNER, WIDTH) for one in ("gate", "up")}
        sizes[f"{name}.mlp.down_proj"] = (WIDTH, INNER)
    weights = {
        f"{name}.weight": (0.2 * rng.standard_normal(size)).astype(np.float32)
        for name, size in sizes.items()
    }
    weights |= {f"{name}.weight": np.ones(WIDTH, dtype=np.float32) for name in norms}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(SHAPE), encoding="utf-8")
    words = {"?": 0} | {f"w{number}": number for number in range(1, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def test_what_prompts_share_changes_no_likelihood_and_answers_are_read(tmp_path: Path) -> None:
    random_model(tmp_path)
    local = import_module("benchmarks.llm.local")
    model = local.LocalModel(tmp_path)
    shared = " ".join(f"w{number}" for number in range(1, 15))
    texts = [f"{shared} w20 w21", f"{shared} w30", "w9 w8 w7", f"{shared} w20 w40 w41"]
    prompts = [model.tokens(text) for text in texts]

    together = model.likelihoods(prompts)
    alone = [model.likelihoods([prompt])[0] for prompt in prompts]

    assert [len(one) for one in together] == [len(prompt) - 1 for prompt in prompts]
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    channel = LlmChannel(transport=httpx.MockTransport(local.LocalServer(model)))
    ranker = LikelihoodRanker(
        LlmServer("http://local", model="smollm2", channel=channel), prompting=new_prompting()
    )
    ranker.warm_up()
    assert len(ranker.rank(ranking_task(4)).log_probabilities) == 4
