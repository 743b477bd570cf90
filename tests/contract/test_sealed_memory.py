"""The vector store holds what nobody reads, and answers as if it were plain."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import CollectionSpec
from app.adapters.chroma.memory import ChromaMemoryStore
from app.adapters.datasets.registry import open_dataset
from app.adapters.embedders.static import StaticEmbedder
from app.adapters.system.clock import SystemClock
from app.adapters.vault.encrypted_memory_store import EncryptedMemoryStore
from app.domain.errors import KeyMissingError
from app.domain.models import Pseudonym, RecordId
from app.domain.privacy.rotation import quantise
from app.domain.recommendation.memory import describe_item
from app.ports.dataset import BadLine, DatasetKind
from app.ports.memory_store import Memory, MemoryStore
from tests.fakes_memory import FakeMemoryStore
from tests.fakes_vault import FakeKeyVault
from tests.planted import a_user, an_order, memories_of

DIM = 256
CLOSE = 5e-4  # what rounding to 2^-13 and Chroma's 12 bits of each component make of a cosine
TEXT = "Rated 5: Emma. Said that she likes poems."


@pytest.fixture(params=["fake", "chroma"])
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore]:
    if request.param == "fake":
        yield FakeMemoryStore()
        return
    with ChromaDatabase.embedded(tmp_path) as database:
        spec = CollectionSpec("test-embedder", DIM, n_shards=4)
        yield ChromaMemoryStore(database, spec=spec)


@pytest.fixture
def vault() -> FakeKeyVault:
    return FakeKeyVault()


@pytest.fixture
def sealed(inner: MemoryStore, vault: FakeKeyVault) -> EncryptedMemoryStore:
    return EncryptedMemoryStore(inner, vault=vault)


def ids_of(memories: Sequence[Memory]) -> list[RecordId]:
    return [memory.record_id for memory in memories]


def test_vectors_come_back_as_they_were(
    sealed: EncryptedMemoryStore, inner: MemoryStore, vault: FakeKeyVault
) -> None:
    users = [memories_of(a_user(), n=30, dim=DIM) for _ in range(3)]
    vault.ensure([memories[0].pseudonym for memories in users])

    sealed.add([users[i % 3][i // 3] for i in range(90)])  # a batch of several users, mixed

    for memories in users:
        pseudonym = memories[0].pseudonym
        found = sealed.vectors(pseudonym, [*ids_of(memories), RecordId("0" * 32)])
        lying = inner.vectors(pseudonym, ids_of(memories))
        assert found.keys() == lying.keys() == set(ids_of(memories))
        for memory in memories:
            np.testing.assert_allclose(found[memory.record_id], memory.embedding, atol=2**-14)
            assert found[memory.record_id].tobytes() == quantise(memory.embedding).tobytes()
            assert found[memory.record_id].dtype == np.float32
            assert abs(float(lying[memory.record_id] @ memory.embedding)) < 0.4


def test_equal_memories_come_back_with_equal_bits_under_every_key(
    sealed: EncryptedMemoryStore, vault: FakeKeyVault
) -> None:
    """Else a list would depend on its user's random key wherever two items are nearly tied."""
    rows = [memory.embedding for memory in memories_of(a_user(), n=60, dim=DIM)]
    users = [a_user() for _ in range(5)]
    vault.ensure(users)

    read: list[bytes] = []
    for user in users:  # 300 memories: of each shard some are flushed, and some are not yet
        ids = [RecordId(secrets.token_hex(16)) for _ in rows]
        sealed.add([Memory(one, user, TEXT, row) for one, row in zip(ids, rows, strict=True)])
        found = sealed.vectors(user, ids)
        read.append(np.stack([found[one] for one in ids]).tobytes())

    assert len(set(read)) == 1


def test_equal_memories_lie_apart(sealed: EncryptedMemoryStore, inner: MemoryStore,
                                  vault: FakeKeyVault) -> None:  # fmt: skip
    anna, bert = a_user(), a_user()
    vault.ensure([anna, bert])
    row = memories_of(anna, n=1, dim=DIM)[0].embedding
    memories = [
        Memory(RecordId(secrets.token_hex(16)), user, TEXT, row) for user in (anna, anna, bert)
    ]

    sealed.add(memories)

    lying = [inner.vectors(one.pseudonym, [one.record_id])[one.record_id] for one in memories]
    cosines = np.abs(np.stack(lying) @ np.stack([*lying, row]).T)
    assert np.max(cosines - np.eye(3, 4)) < 0.4


def test_documents_lie_sealed(vault: FakeKeyVault) -> None:
    inner = FakeMemoryStore()
    user = a_user()
    vault.ensure([user])
    plain = memories_of(user, n=1, dim=DIM)[0]
    memory = Memory(plain.record_id, user, TEXT, plain.embedding)

    EncryptedMemoryStore(inner, vault=vault).add([memory])

    lying = inner.records[memory.record_id]
    assert lying.document.startswith("1.")
    assert "poems" not in lying.document
    assert lying.pseudonym == user


def test_nothing_is_written_for_anybody_when_a_key_is_missing(
    sealed: EncryptedMemoryStore, inner: MemoryStore, vault: FakeKeyVault
) -> None:
    """Its user is erased: a key made here would be residue, a vector in clear a leak."""
    anna, gone = (memories_of(a_user(), n=2, dim=DIM) for _ in range(2))
    vault.ensure([anna[0].pseudonym])

    with pytest.raises(KeyMissingError):
        sealed.add([*anna, *gone])

    assert inner.size() == 0
    assert vault.count() == 1


def test_vectors_are_noise_once_the_key_is_gone(
    sealed: EncryptedMemoryStore, vault: FakeKeyVault
) -> None:
    mine = memories_of(a_user(), n=20, dim=DIM)
    user = mine[0].pseudonym
    vault.ensure([user])
    sealed.add(mine)
    vault.shred(user)

    with pytest.raises(KeyMissingError):
        sealed.vectors(user, ids_of(mine))

    vault.ensure([user])
    found = sealed.vectors(user, ids_of(mine))
    assert max(abs(float(found[one.record_id] @ one.embedding)) for one in mine) < 0.4


def test_a_user_without_vectors_needs_no_key(sealed: EncryptedMemoryStore) -> None:
    assert sealed.vectors(a_user(), [RecordId("0" * 32)]) == {}


def test_erasing_needs_no_key(
    sealed: EncryptedMemoryStore, inner: MemoryStore, vault: FakeKeyVault
) -> None:
    mine, others = (memories_of(a_user(), n=6, dim=DIM) for _ in range(2))
    vault.ensure([mine[0].pseudonym, others[0].pseudonym])
    sealed.add([*mine, *others])
    order = an_order(mine)
    assert sealed.count(order) == 6
    vault.shred(mine[0].pseudonym)

    assert sealed.erase(order) == 6
    sealed.maintain([mine[0].pseudonym])

    assert sealed.count(order) == 0
    assert sealed.size() == inner.size() == 6


def real_memories(user: Pseudonym) -> list[Memory]:
    """Return memories of the demo's books, embedded as the service does."""
    dataset = open_dataset(DatasetKind.DEMO, None, now=SystemClock().now())
    texts = [describe_item(one.item) for one in dataset.items() if not isinstance(one, BadLine)]
    rows = StaticEmbedder().embed(texts)
    return [
        Memory(RecordId(secrets.token_hex(16)), user, text, row)
        for text, row in zip(texts, rows, strict=True)
    ]


def test_own_memories_keep_their_order(inner: MemoryStore, vault: FakeKeyVault) -> None:
    """Real embeddings: every book asks for its nearest, with and without the vault before it."""
    plain_user, user = a_user(), a_user()
    plain, mine = real_memories(plain_user), real_memories(user)
    sealed = EncryptedMemoryStore(inner, vault=vault)
    vault.ensure([user])
    inner.add(plain)
    sealed.add(mine)
    off = inner.vectors(plain_user, ids_of(plain))
    on = sealed.vectors(user, ids_of(mine))
    without = np.stack([off[record_id] for record_id in ids_of(plain)])
    with_vault = np.stack([on[record_id] for record_id in ids_of(mine)])
    queries = np.stack([memory.embedding for memory in mine])

    expected, found = queries @ without.T, queries @ with_vault.T

    assert len(mine) > 600
    assert np.abs(expected - found).max() < CLOSE
    order_off, order_on = (
        np.argsort(-scores, axis=1, kind="stable") for scores in (expected, found)
    )
    places = order_off != order_on
    # Only neighbours whose cosines are equal but for rounding may change places.
    gaps = np.abs(
        np.take_along_axis(expected, order_off, 1) - np.take_along_axis(expected, order_on, 1)
    )
    assert gaps[places].max(initial=0.0) < 2 * CLOSE
    assert places[:, :10].mean() < 0.01
