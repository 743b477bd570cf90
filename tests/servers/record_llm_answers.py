"""Save what a real vLLM answers, for the contract tests that replay it.

    python -m tests.servers.record_llm_answers

Run it after a new vLLM version or a new wording of the prompt; read the difference before it
is committed. ``tests/integration/test_vllm.py`` fails when the saved shapes are out of date.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from app.adapters.llm.json_scores import json_body
from app.adapters.llm.likelihood import likelihood_body
from app.adapters.llm.prompts import load_template
from app.adapters.llm.single_pass import one_pass_body
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import AnswerForm, RankingPrompt, ShownMemory, ranking_prompt
from tests.servers.vllm import vllm_server

ANSWERS: Final = Path(__file__).parents[1] / "contract" / "llm_answers.json"
SIZES: Final = (1, 2, 4, 42, 43, 52)
"""Numbers of candidates that the contract tests show at once; 120 are shown as 43, 43 and 42."""
TEMPLATE: Final = load_template("en")
SALT: Final = "0" * 64


def sample_prompt(n_candidates: int, *, form: AnswerForm) -> RankingPrompt:
    """Build the prompt that the saved answers belong to; it names nobody and nothing real."""
    candidates = [Item(ItemId(f"i{n}"), f"Title {n}") for n in range(n_candidates)]
    memories = [ShownMemory(Kind.NOTE, text="Title 0")]
    return ranking_prompt(memories, candidates=candidates, template=TEMPLATE, seed=0, form=form)


def requests(model: str) -> dict[str, tuple[str, dict[str, object]]]:
    """Return name to path and body of everything that is saved."""
    chat = "/v1/chat/completions"
    word = {"model": model, "prompt": "A", "add_special_tokens": False}
    found: dict[str, tuple[str, dict[str, object]]] = {"tokenize": ("/tokenize", word)}
    for size in SIZES:
        by_label = sample_prompt(size, form=AnswerForm.LABEL)
        by_scores = sample_prompt(size, form=AnswerForm.SCORES)
        found[f"one_pass_{size}"] = (chat, one_pass_body(by_label, model=model, cache_salt=SALT))
        found[f"json_{size}"] = (chat, json_body(by_scores, model=model))
    texts = [f"Title {number}\n{TEMPLATE.wanted} the sea" for number in range(4)]
    found["likelihood_4"] = (
        "/v1/completions",
        likelihood_body(texts, model=model, cache_salt=SALT),
    )
    one_pass, by_json = found["one_pass_4"][1], found["json_4"][1]
    unmasked = {key: value for key, value in one_pass.items() if key != "structured_outputs"}
    return found | {
        "one_pass_unmasked": (chat, unmasked),
        "one_pass_without_logprobs": (chat, one_pass | {"logprobs": False, "top_logprobs": None}),
        "json_cut": (chat, by_json | {"max_tokens": 5}),
        "wrong_model": (chat, one_pass | {"model": "another"}),
        "too_many_logprobs": (chat, one_pass | {"top_logprobs": 1000}),
    }


def ask(base_url: str, *, model: str) -> dict[str, dict[str, object]]:
    """Return name to status and body of every answer."""
    with httpx.Client(base_url=base_url, timeout=120, trust_env=False) as client:
        answers = {"models": client.get("/v1/models")} | {
            name: client.post(path, json=body) for name, (path, body) in requests(model).items()
        }
    return {
        name: {"status": answer.status_code, "body": answer.json()}
        for name, answer in answers.items()
    }


def main() -> None:
    with TemporaryDirectory() as folder, vllm_server(Path(folder)) as server:
        answers = ask(server.base_url, model=server.model)
    # The server names the folder of the model; it differs each time.
    text = json.dumps(answers, indent=1, sort_keys=True).replace(folder, "FOLDER")
    ANSWERS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
