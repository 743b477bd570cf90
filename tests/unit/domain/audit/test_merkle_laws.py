"""Laws of the tree, against a naive tree written straight from RFC 9162's recursive definitions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.data.verify_lethe import Wrong, root_of_path
from app.domain.audit.merkle import (
    Frontier,
    NodeId,
    ProofError,
    consistency_nodes,
    consistency_proof,
    extend,
    inclusion_nodes,
    inclusion_proof,
    leaf_hash,
    peak_nodes,
    root_at,
    verify_consistency,
)

MAX_LEAVES = 140
sizes = st.integers(1, MAX_LEAVES)


def leads(leaf: bytes, index: int, size: int, proof: Sequence[bytes], *, to: bytes) -> bool:
    """Whether a verifier, which shares no code with the log, gets to a root."""
    try:
        return root_of_path(leaf, index=index, size=size, path=proof) == to
    except Wrong:
        return False


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return _sha(b"")
    if len(leaves) == 1:
        return _sha(b"\x00" + leaves[0])
    middle = naive_split(len(leaves))
    return _sha(b"\x01" + naive_root(leaves[:middle]) + naive_root(leaves[middle:]))


def naive_split(size: int) -> int:
    return max(1 << power for power in range(size) if 1 << power < size)


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = naive_split(len(leaves))
    if index < middle:
        return [*naive_path(index, leaves[:middle]), naive_root(leaves[middle:])]
    return [*naive_path(index - middle, leaves[middle:]), naive_root(leaves[:middle])]


def naive_subproof(first: int, leaves: list[bytes], *, is_complete: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if is_complete else [naive_root(leaves)]
    middle = naive_split(len(leaves))
    if first <= middle:
        left = naive_subproof(first, leaves[:middle], is_complete=is_complete)
        return [*left, naive_root(leaves[middle:])]
    right = naive_subproof(first - middle, leaves[middle:], is_complete=False)
    return [*right, naive_root(leaves[:middle])]


LEAVES = [bytes([number % 7]) * (number % 5) + str(number).encode() for number in range(MAX_LEAVES)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
FRONTIER, COMPLETED = extend(Frontier(), HASHES)
NODES = {NodeId(0, index): hashed for index, hashed in enumerate(HASHES)} | dict(COMPLETED)
ROOTS = [naive_root(LEAVES[:size]) for size in range(MAX_LEAVES + 1)]


def read(level: int, index: int) -> bytes:
    return NODES[NodeId(level, index)]


@given(st.lists(st.binary(max_size=40), max_size=70), st.data())
def test_root_equals_the_naive_one_however_the_leaves_are_batched(
    leaves: list[bytes], data: st.DataObject
) -> None:
    frontier, rest = Frontier(), [leaf_hash(leaf) for leaf in leaves]
    while rest:
        taken = data.draw(st.integers(1, len(rest)))
        frontier, _ = extend(frontier, rest[:taken])
        rest = rest[taken:]

    assert frontier.root() == naive_root(leaves)
    assert frontier.size == len(leaves)


def test_each_node_is_completed_once_and_covers_its_leaves() -> None:
    assert len({at for at, _ in COMPLETED}) == len(COMPLETED) < MAX_LEAVES
    for at, hashed in COMPLETED:
        begin = at.position << at.level
        assert hashed == naive_root(LEAVES[begin : begin + (1 << at.level)])


@given(sizes)
def test_frontier_can_be_taken_up_again_from_stored_nodes(size: int) -> None:
    resumed = Frontier(size, tuple(read(*node) for node in peak_nodes(size)))

    assert resumed.root() == root_at(size, read_node=read) == ROOTS[size]
    assert extend(resumed, HASHES[size:])[0] == FRONTIER


def test_inclusion_proof_equals_the_naive_one_for_every_leaf_of_every_size() -> None:
    for size in range(1, 66):
        for index in range(size):
            proof = inclusion_proof(index, size=size, read_node=read)
            assert list(proof) == naive_path(index, LEAVES[:size])
            assert leads(HASHES[index], index, size, proof, to=ROOTS[size])


def test_consistency_proof_equals_the_naive_one_for_every_pair_of_sizes() -> None:
    for second in range(1, 66):
        for first in range(1, second + 1):
            proof = consistency_proof(first, second=second, read_node=read)
            assert list(proof) == naive_subproof(first, LEAVES[:second], is_complete=True)
            verify_consistency(
                first=first,
                second=second,
                proof=proof,
                first_root=ROOTS[first],
                second_root=ROOTS[second],
            )


@given(sizes, st.data())
def test_reads_are_logarithmic_and_known_beforehand(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size))
    seen: list[NodeId] = []

    def recording(level: int, at: int) -> bytes:
        seen.append(NodeId(level, at))
        return read(level, at)

    proof = inclusion_proof(index, size=size, read_node=recording)
    assert tuple(seen) == inclusion_nodes(index, size=size)
    assert len(proof) <= math.ceil(math.log2(size))
    assert len(seen) <= 2 * math.ceil(math.log2(size))
    seen.clear()
    consistency_proof(first, second=size, read_node=recording)
    assert tuple(seen) == consistency_nodes(first, second=size)
    assert len(seen) <= 2 * math.ceil(math.log2(size)) + 1


@given(sizes, st.data())
def test_inclusion_is_refused_when_anything_is_changed(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = list(inclusion_proof(index, size=size, read_node=read))
    leaf, root = HASHES[index], ROOTS[size]
    other = data.draw(st.integers(0, size).filter(lambda number: number != index))
    bad = [
        (_flip(leaf, data), index, size, proof, root),
        (leaf, index, size, proof, _flip(root, data)),
        (leaf, other, size, proof, root),
        (leaf, index, size, [*proof, bytes(32)], root),
        *((leaf, index, size, proof[:-1], root) for _ in proof[:1]),
        *((leaf, index, size, [_flip(proof[0], data), *proof[1:]], root) for _ in proof[:1]),
    ]
    for leaf_, index_, size_, proof_, root_ in bad:
        assert not leads(leaf_, index_, size_, proof_, to=root_)


@given(sizes, st.data())
def test_consistency_is_refused_when_anything_is_changed(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, size))
    proof = list(consistency_proof(first, second=size, read_node=read))
    bad = [
        (proof, _flip(ROOTS[first], data), ROOTS[size]),
        (proof, ROOTS[first], _flip(ROOTS[size], data)),
        ([*proof, bytes(32)], ROOTS[first], ROOTS[size]),
        *((proof[:-1], ROOTS[first], ROOTS[size]) for _ in proof[:1]),
        *(([_flip(proof[0], data), *proof[1:]], ROOTS[first], ROOTS[size]) for _ in proof[:1]),
    ]
    for proof_, first_root, second_root in bad:
        with pytest.raises(ProofError):
            verify_consistency(
                first=first,
                second=size,
                proof=proof_,
                first_root=first_root,
                second_root=second_root,
            )


@given(st.integers(2, MAX_LEAVES), st.data())
def test_a_rewritten_past_is_never_consistent(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, first - 1))
    forged = [*HASHES[:changed], leaf_hash(b"forged"), *HASHES[changed + 1 : size]]
    frontier, completed = extend(Frontier(), forged)
    nodes = {NodeId(0, index): hashed for index, hashed in enumerate(forged)} | dict(completed)
    proof = consistency_proof(first, second=size, read_node=lambda *at: nodes[NodeId(*at)])

    with pytest.raises(ProofError):
        verify_consistency(
            first=first,
            second=size,
            proof=proof,
            first_root=ROOTS[first],
            second_root=frontier.root(),
        )


def _flip(hashed: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, 255))
    flipped = bytearray(hashed)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)
