"""A finished erasure is searched for again, by fingerprints that give nothing back."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import numpy as np

from app.adapters.probe.fingerprint_scanner import FingerprintScanner
from app.domain.audit.entries import LeafKind
from app.domain.erasure import fingerprint
from app.domain.erasure.residue import Fingerprints, Needles
from app.domain.erasure.scope import AllScope
from app.domain.models import RequestId
from app.services.erasure.requests import ForgetCommand
from app.settings_groups import ForgetSettings
from tests.world import World, catalogue, open_world

KEY = b"a key of the test's own"
AT_ONCE = ForgetSettings(look_again_days=(1e-9, 2e-9))
READ_BYTES = 8 << 20


def needles() -> Needles:
    vector = np.random.default_rng(1).standard_normal(64, dtype=np.float32)
    return Needles(
        texts=("my own words, as anybody may say them",),
        documents=(secrets.token_urlsafe(60),),
        ids=(secrets.token_hex(16),),
        vectors=(vector,),
    )


def test_what_is_left_is_recognised_and_words_are_not_kept(tmp_path: Path) -> None:
    mine = needles()
    prints = fingerprint.decode(fingerprint.encode(fingerprint.fingerprints_of(mine, key=KEY)))
    scanner = FingerprintScanner([Fingerprints(), prints], key=KEY)
    left = {
        "id": bytes.fromhex(mine.ids[0]),
        "vector": mine.vectors[0].tobytes(),
        "document": mine.documents[0].encode(),
        "words": mine.texts[0].encode(),
    }
    found = {}
    for name, data in left.items():
        # Across the border of two reads.
        (tmp_path / name).write_bytes(bytes(READ_BYTES - 7) + data)
        found[name] = {group for group, _ in scanner.scan(tmp_path / name)}

    assert found == {"id": {1}, "vector": {1}, "document": {1}, "words": set()}
    another = FingerprintScanner([prints], key=b"another key")
    assert not another.scan(tmp_path / "id")


def test_no_more_fingerprints_are_kept_than_are_needed() -> None:
    many = Needles(ids=tuple(secrets.token_hex(16) for _ in range(5_000)))

    kept = fingerprint.fingerprints_of(many, key=KEY)
    assert len(fingerprint.encode(kept)) <= 27_000

    assert 0 < len(kept.pairs) <= fingerprint.MOST


def _erased(world: World, name: str) -> RequestId:
    world.read(name, ["sea-00", "sea-01"])
    command = ForgetCommand(pseudonym=world.user(name), scope=AllScope())
    request_id = world.container.forget.accept(command).request.request_id
    assert world.erase(request_id)
    return request_id


def _looks(world: World, request_id: RequestId) -> list[dict[str, object]]:
    with world.adapters.uows.read() as uow:
        leaves = uow.audit.page(
            after=-1, limit=100, kind=LeafKind.PROBE_REPEATED, request_id=request_id
        )
    return [json.loads(leaf.body)["payload"] for leaf in leaves]


def test_each_look_leaves_a_leaf_and_what_returns_is_an_alarm(tmp_path: Path) -> None:
    with open_world(tmp_path, forget=AT_ONCE) as world:
        world.container.catalogue.upsert(catalogue())
        world.container.feed.start()
        clean = _erased(world, "anna")
        assert world.container.rechecks.run_due() == 1
        haunted = _erased(world, "bert")
        stray = tmp_path / "chroma" / "copy.bin"
        stray.write_bytes(b"..." + world.user("bert").encode())

        assert world.container.rechecks.run_due() == 2

        assert [(one["residue"], one["control_found"]) for one in _looks(world, clean)] == [
            (0, True),
            (0, True),
        ]
        assert [(one["residue"], one["control_found"]) for one in _looks(world, haunted)] == [
            (1, True)
        ]
        with world.adapters.uows.read() as uow:
            assert uow.rechecks.count() == 1  # the clean one has been looked for often enough
        assert world.container.rechecks.run_due() == 0  # the alarm is repeated in an hour
