"""Write the reader as a folder that vLLM serves: bfloat16 weights, tokenizer, card, digests.

    .venv-vllm/bin/python -m benchmarks.models.reader.write --out DIR [--run DIR]

Without a training run it writes the weights as ``begin.py`` has them, in seconds and the same each
time; with ``--run``, the ``checkpoint.pt`` of ``benchmarks.models.reader.train``.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path
from typing import Final

import torch

from app.adapters.llm.prompts import load_template
from benchmarks.models.reader.network import Reader
from benchmarks.models.reader.train import SEED, frame_ids
from benchmarks.models.reader.vocabulary import EMBEDDER, make_tokenizer
from benchmarks.models.reader.words import Words

CARD: Final = Path(__file__).with_name("card.md")


def write(out: Path, *, run: Path | None, seed: int) -> None:
    """Write the folder; ``run`` is that of a training, None for none."""
    tokenizer = make_tokenizer()
    template = load_template("en")
    reader = Reader(tokenizer, Words.load(), frame=frame_ids(tokenizer, template), seed=seed)
    trained = "not trained: the weights are those of `begin.py`"
    if run is not None:
        state = torch.load(run / "checkpoint.pt", weights_only=True)
        reader.load_state_dict(state["reader"])
        trained = f"{state['step']:,} steps of `train.py`"
    llama = reader.finished().to(torch.bfloat16).eval()
    out.mkdir(parents=True, exist_ok=True)
    llama.save_pretrained(out)
    tokenizer.save_pretrained(out)
    shutil.copy(EMBEDDER / "LICENSE", out / "LICENSE")
    sums = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(out.iterdir())
        if path.is_file()
    )
    (out / "SHA256SUMS").write_text(sums, encoding="ascii")
    parameters = sum(one.numel() for one in llama.parameters())
    card = CARD.read_text(encoding="utf-8").format(
        trained=trained,
        parameters=f"{parameters / 1e6:.1f}",
        vocabulary=f"{len(tokenizer):,}",
        prompt_id=template.template_id,
        seed=seed,
        sums=sums,
    )
    (out / "MODEL.md").write_text(card, encoding="utf-8")


def main() -> None:
    """Write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="folder of a training; none: as written")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    write(options.out, run=options.run, seed=options.seed)


if __name__ == "__main__":
    main()
