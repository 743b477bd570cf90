"""The real model in this process, behind the routes of a vLLM: what it can tell, not how fast.

On a machine with two cores a vLLM reads the prompts of a benchmark's lists for hours, most of them
the same words again: it takes nothing from its prefix cache for a request with ``prompt_logprobs``.
Here what the prompts of one call begin with is read once. Log-probabilities are those of
``transformers`` to four digits; the forms, prompts and parsing are the service's own. Needs torch
(``.venv-bench``) and a folder that ``benchmarks.models.smollm2`` has made.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import httpx
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from app.adapters.llm.client import LlmChannel, LlmServer

NAME: Final = "smollm2"
_HEAD: Final = 12
"""Tokens that prompts have to begin with alike, so that it is worth reading them once."""
_THETA: Final = 100_000.0
Past = list[tuple[Tensor, Tensor]]


class LocalModel:
    """A Llama of the shape of SmolLM2-135M, in float32 on one thread."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._layers: int = shape["num_hidden_layers"]
        self._heads: int = shape["num_attention_heads"]
        self._kv_heads: int = shape["num_key_value_heads"]
        self._dim: int = shape["head_dim"]
        self._eps: float = shape["rms_norm_eps"]
        self._weights = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text's tokens."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def likelihoods(self, prompts: Sequence[list[int]]) -> list[list[float]]:
        """Return the log-probability of each token but the first, by prompt."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, prompt in enumerate(prompts):
            groups[tuple(prompt[:_HEAD])].append(place)
        alone = [places[0] for places in groups.values() if len(places) == 1]
        found: dict[int, list[float]] = {}
        for places in [*(one for one in groups.values() if len(one) > 1), alone]:
            if places:
                mine = self._group([prompts[place] for place in places])
                found.update(zip(places, mine, strict=True))
        return [found[place] for place in range(len(prompts))]

    def next_of(self, prompt: list[int], choices: Sequence[int]) -> list[float]:
        """Return the log-probability of each of these tokens as the next one."""
        with torch.inference_mode():
            hidden, _ = self._read(torch.tensor([prompt]), None)
            logits = self._logits(hidden[0, -1])
        return [float(one) for one in logits.log_softmax(-1)[list(choices)]]

    def _group(self, prompts: Sequence[list[int]]) -> list[list[float]]:
        shared = 0
        if len(prompts) > 1:
            columns = zip(*prompts, strict=False)
            shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
            shared = min(shared, min(map(len, prompts)) - 1)
        with torch.inference_mode():
            past, head, last = None, list[float](), None
            if shared:
                begin = torch.tensor([prompts[0][:shared]])
                hidden, past = self._read(begin, None)
                head = self._picked(hidden[0, :-1], prompts[0][1:shared])
                last = hidden[0, -1:]
            tails = [torch.tensor(one[shared:]) for one in prompts]
            padded = torch.nn.utils.rnn.pad_sequence(tails, batch_first=True)
            hidden, _ = self._read(padded, past)
            found = []
            for row, tail in zip(hidden, tails, strict=True):
                before = row[: len(tail) - 1]
                states = before if last is None else torch.cat([last, before])
                wanted = tail if last is not None else tail[1:]
                found.append([*head, *self._picked(states, wanted.tolist())])
        return found

    def _picked(self, states: Tensor, wanted: list[int]) -> list[float]:
        if not wanted:
            return []
        scores = self._logits(states).log_softmax(-1)
        return [float(one) for one in scores[torch.arange(len(wanted)), wanted]]

    def _logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self._weights["model.embed_tokens.weight"].T

    def _norm(self, states: Tensor, name: str) -> Tensor:
        scale = torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + self._eps)
        return states * scale * self._weights[f"model.{name}.weight"]

    def _read(self, ids: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """Return the last states, shape (b, t, d), and keys and values of all that was read."""
        n_past = past[0][0].shape[2] if past else 0
        count = ids.shape[1]
        states = self._weights["model.embed_tokens.weight"][ids]
        places = torch.arange(n_past, n_past + count)
        speeds = _THETA ** (-torch.arange(0, self._dim, 2) / self._dim)
        angles = torch.cat([places[:, None] * speeds] * 2, dim=-1)
        turn = (angles.cos(), angles.sin())
        mask = torch.arange(n_past + count)[None, :] <= places[:, None]
        kept: Past = []
        for number in range(self._layers):
            before = past[number] if past else None
            states, one = self._layer(number, states, turn=turn, mask=mask, past=before)
            kept.append(one)
        return self._norm(states, "norm"), kept

    def _layer(
        self,
        number: int,
        states: Tensor,
        *,
        turn: tuple[Tensor, Tensor],
        mask: Tensor,
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        name = f"layers.{number}"
        weights, size = self._weights, states.shape[:2]
        read = self._norm(states, f"{name}.input_layernorm")

        def heads(part: str, n_heads: int) -> Tensor:
            found = read @ weights[f"model.{name}.self_attn.{part}_proj.weight"].T
            return found.view(*size, n_heads, self._dim).transpose(1, 2)

        query = _turned(heads("q", self._heads), turn)
        key, value = _turned(heads("k", self._kv_heads), turn), heads("v", self._kv_heads)
        if past is not None:
            each = (size[0], -1, -1, -1)
            key = torch.cat([past[0].expand(*each), key], dim=2)
            value = torch.cat([past[1].expand(*each), value], dim=2)
        told = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, enable_gqa=True
        )
        told = told.transpose(1, 2).reshape(*size, -1)
        states = states + told @ weights[f"model.{name}.self_attn.o_proj.weight"].T
        read = self._norm(states, f"{name}.post_attention_layernorm")
        gate = functional.silu(read @ weights[f"model.{name}.mlp.gate_proj.weight"].T)
        up = gate * (read @ weights[f"model.{name}.mlp.up_proj.weight"].T)
        return states + up @ weights[f"model.{name}.mlp.down_proj.weight"].T, (key, value)


def _turned(states: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    first, second = states.chunk(2, dim=-1)
    return states * turn[0] + torch.cat([-second, first], dim=-1) * turn[1]


class LocalServer:
    """Answers the routes of a vLLM that ranking uses."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer; of a chat one token, masked to the choices that are asked for."""
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": NAME, "owned_by": "vllm"}]})
        body = json.loads(request.content)
        if request.url.path == "/tokenize":
            return httpx.Response(200, json={"tokens": self._model.tokens(body["prompt"])})
        if request.url.path == "/v1/completions":
            return httpx.Response(200, json=self._completions(body))
        if "structured_outputs" not in body:
            return httpx.Response(400, json={"error": "nothing but choices"})
        return httpx.Response(200, json=self._chat(body))

    def _completions(self, body: dict[str, Any]) -> dict[str, Any]:
        prompts = [self._model.tokens(one) for one in body["prompt"]]
        choices = [
            {
                "index": place,
                "prompt_logprobs": [
                    None,
                    *(
                        {str(token): {"logprob": min(value, 0.0)}}
                        for token, value in zip(prompt[1:], values, strict=True)
                    ),
                ],
            }
            for place, (prompt, values) in enumerate(
                zip(prompts, self._model.likelihoods(prompts), strict=True)
            )
        ]
        return {"choices": choices, "usage": _usage(sum(map(len, prompts)))}

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        told = "".join(
            f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in body["messages"]
        )
        prompt = self._model.tokens(f"{told}<|im_start|>assistant\n")
        labels = body["structured_outputs"]["choice"]
        choices = [self._model.tokens(one)[0] for one in labels]
        top = [
            {"token": label, "logprob": value}
            for label, value in zip(labels, self._model.next_of(prompt, choices), strict=True)
        ]
        content = {"content": [{"top_logprobs": top}]}
        return {"choices": [{"logprobs": content}], "usage": _usage(len(prompt))}


class Kept:
    """Answers what was asked before, under whatever salt, as it was answered then."""

    def __init__(self, answers: Callable[[httpx.Request], httpx.Response], *, folder: Path) -> None:
        self._answers, self._folder = answers, folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer, and keep the answer."""
        asked = json.loads(request.content or b"{}") | {"cache_salt": None}
        name = sha256(f"{request.url.path} {json.dumps(asked)}".encode()).hexdigest()
        path = self._folder / name
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(self._answers(request).content)
            part.rename(path)
        return httpx.Response(200, content=path.read_bytes())


def local_server(model: Path, *, answers: Path) -> LlmServer:
    """Return the model of a folder as a server; what it answered is kept in another folder."""
    kept = Kept(LocalServer(LocalModel(model)), folder=answers)
    return LlmServer(
        "http://local", model=NAME, channel=LlmChannel(transport=httpx.MockTransport(kept))
    )


def _usage(n_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": n_tokens, "completion_tokens": 1}
