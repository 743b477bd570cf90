"""A memory of nobody on a server: a search of its files that does not find it proves nothing.

The canary, a made-up user, lies on one server as every user does. Each of several has this, too.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

import numpy as np

from app.adapters.chroma.client import ChromaDatabase, vendor_errors
from app.adapters.chroma.grid import on_grid
from app.adapters.chroma.layout import CONTROL, CollectionSpec
from app.adapters.chroma.scrub import TEXT, flush
from app.domain.models import Pseudonym, RecordId
from app.ports.memory_store import Memory

_DOCUMENT_BYTES = 96


def control(database: ChromaDatabase, *, spec: CollectionSpec) -> Memory:
    """Return the server's control as its files hold it, planting it where it is missing.

    Raises:
        DependencyUnavailableError: the server does not answer.
    """
    collection = database.ensure(CONTROL, spec=replace(spec, n_shards=1))
    with vendor_errors():
        found = collection.get(include=["embeddings", "metadatas"])
        if not found["ids"]:
            vector = np.random.default_rng().standard_normal((1, spec.dim), dtype=np.float32)
            collection.add(
                ids=[secrets.token_hex(16)],
                embeddings=on_grid(vector / np.linalg.norm(vector)),
                metadatas=[{"p": secrets.token_hex(32), TEXT: secrets.token_hex(_DOCUMENT_BYTES)}],
            )
            flush(collection)
            found = collection.get(include=["embeddings", "metadatas"])
    (facts,) = found["metadatas"] or ({},)
    rows = on_grid(np.asarray(found["embeddings"], dtype=np.float32))
    owner, text = str(facts["p"]), str(facts[TEXT])
    return Memory(RecordId(found["ids"][0]), Pseudonym(owner), text, rows[0])
