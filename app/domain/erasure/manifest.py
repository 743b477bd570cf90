"""The manifest of an erasure: what the probe must not find. Kept sealed, destroyed last."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.domain.erasure.request import ErasureOrder
from app.domain.erasure.residue import Needles
from app.domain.errors import IntegrityError
from app.domain.models import Pseudonym, RecordId, RequestId


def needles_to_json(needles: Needles) -> dict[str, list[str]]:
    """Return a JSON-able form; bytes in base64, vectors as little-endian float32."""
    return {
        "texts": list(needles.texts),
        "documents": list(needles.documents),
        "ids": list(needles.ids),
        "pseudonyms": list(needles.pseudonyms),
        "keys": [base64.b64encode(key).decode() for key in needles.keys],
        "vectors": [
            base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in needles.vectors
        ],
    }


def needles_from_json(fields: Mapping[str, Any]) -> Needles:
    """Read what ``needles_to_json`` wrote."""
    return Needles(
        texts=tuple(fields["texts"]),
        documents=tuple(fields["documents"]),
        ids=tuple(fields["ids"]),
        pseudonyms=tuple(fields["pseudonyms"]),
        keys=tuple(base64.b64decode(key) for key in fields["keys"]),
        vectors=tuple(
            np.frombuffer(base64.b64decode(vector), dtype="<f4") for vector in fields["vectors"]
        ),
    )


@dataclass(frozen=True, slots=True)
class ErasureManifest:
    """What an erasure keeps of its user until it is certified, because its steps destroy the rest.

    Args:
        order: what is to be erased.
        needles: what a probe must not find afterwards.
        counts: records of the request by store, before anything was erased.
    """

    order: ErasureOrder
    needles: Needles
    counts: Mapping[str, int]

    def encode(self) -> str:
        """Return JSON, to be sealed at once."""
        return json.dumps(
            {
                "pseudonym": self.order.pseudonym,
                "is_whole_user": self.order.is_whole_user,
                "record_ids": list(self.order.record_ids),
                "needles": needles_to_json(self.needles),
                "counts": dict(self.counts),
            }
        )

    @classmethod
    def decode(cls, text: str, *, request_id: RequestId) -> ErasureManifest:
        """Read what ``encode`` wrote.

        Raises:
            IntegrityError: it is something else.
        """
        try:
            fields = json.loads(text)
            order = ErasureOrder(
                request_id=request_id,
                pseudonym=Pseudonym(fields["pseudonym"]),
                is_whole_user=bool(fields["is_whole_user"]),
                record_ids=tuple(RecordId(one) for one in fields["record_ids"]),
            )
            return cls(order, needles_from_json(fields["needles"]), dict(fields["counts"]))
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError("what an erasure kept for its probe cannot be read") from error
