"""The tree against the vectors of the Certificate Transparency reference implementations.

Hash values: transparency-dev/merkle, testonly/constants.go and reference_test.go (RFC 6962
and RFC 9162 define the same SHA-256 tree).
"""

from __future__ import annotations

import hashlib

import pytest

from app.data.verify_lethe import Wrong, root_of_path
from app.domain.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    NodeId,
    ProofError,
    consistency_proof,
    extend,
    inclusion_proof,
    leaf_hash,
    root_at,
    verify_consistency,
)

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
NODES = {
    (1, 0): "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    (1, 1): "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    (1, 2): "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    (1, 3): "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    (2, 0): "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    (2, 1): "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    (3, 0): "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
INCLUSION = {
    (0, 1): [],
    (0, 2): [LEAF_1],
    (1, 2): [ROOTS[1]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], NODES[1, 1], LEAF_4],
    (0, 8): [LEAF_1, NODES[1, 1], NODES[2, 1]],
    (5, 8): [LEAF_4, NODES[1, 3], NODES[2, 0]],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [LEAF_1, NODES[1, 1], NODES[2, 1]],
    (2, 5): [NODES[1, 1], LEAF_4],
    (6, 8): [NODES[1, 2], NODES[1, 3], NODES[2, 0]],
}


class NodeTable:
    """What the log keeps: leaf hashes, and the inner nodes that appending completed."""

    def __init__(self, leaves: list[bytes]) -> None:
        hashes = [leaf_hash(leaf) for leaf in leaves]
        self.frontier, completed = extend(Frontier(), hashes)
        self.nodes = {NodeId(0, index): hashed for index, hashed in enumerate(hashes)}
        self.nodes |= dict(completed)
        self.reads = 0

    def __call__(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.nodes[NodeId(level, index)]


@pytest.fixture
def table() -> NodeTable:
    return NodeTable(LEAVES)


def test_root_is_the_published_one_when_grown_leaf_by_leaf() -> None:
    frontier, roots = Frontier(), [Frontier().root().hex()]
    for leaf in LEAVES:
        frontier, _ = extend(frontier, [leaf_hash(leaf)])
        roots.append(frontier.root().hex())

    assert roots == ROOTS


def test_past_roots_are_the_published_ones_when_read_from_nodes(table: NodeTable) -> None:
    assert [root_at(size, read_node=table).hex() for size in range(9)] == ROOTS


def test_completed_nodes_are_the_published_ones(table: NodeTable) -> None:
    inner = {at: hashed.hex() for at, hashed in table.nodes.items() if at.level > 0}

    assert inner == NODES


def test_published_vectors_agree_with_each_other() -> None:
    joined = hashlib.sha256(
        b"\x01" + bytes.fromhex(NODES[2, 0]) + bytes.fromhex(NODES[2, 1])
    ).hexdigest()

    assert joined == ROOTS[8]
    assert bytes.fromhex(ROOTS[0]) == EMPTY_ROOT


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proof_is_the_published_one(table: NodeTable, index: int, size: int) -> None:
    proof = inclusion_proof(index, size=size, read_node=table)

    assert [step.hex() for step in proof] == INCLUSION[index, size]
    root = root_of_path(leaf_hash(LEAVES[index]), index=index, size=size, path=proof)
    assert root.hex() == ROOTS[size]


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_consistency_proof_is_the_published_one(table: NodeTable, first: int, second: int) -> None:
    proof = consistency_proof(first, second=second, read_node=table)

    assert [step.hex() for step in proof] == CONSISTENCY[first, second]
    verify_consistency(
        first=first,
        second=second,
        proof=proof,
        first_root=bytes.fromhex(ROOTS[first]),
        second_root=bytes.fromhex(ROOTS[second]),
    )


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3), (9, 3)])
def test_inclusion_is_refused_when_there_is_no_such_leaf(
    table: NodeTable, index: int, size: int
) -> None:
    with pytest.raises(ProofError, match="there is no leaf"):
        inclusion_proof(index, size=size, read_node=table)
    with pytest.raises(Wrong, match="has no leaf"):
        root_of_path(bytes(32), index=index, size=size, path=())


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 4), (5, 4), (-1, 4)])
def test_consistency_is_refused_when_sizes_are_out_of_order(
    table: NodeTable, first: int, second: int
) -> None:
    with pytest.raises(ProofError, match="no consistency proof"):
        consistency_proof(first, second=second, read_node=table)
    with pytest.raises(ProofError, match="no consistency proof"):
        verify_consistency(
            first=first, second=second, proof=(), first_root=bytes(32), second_root=bytes(32)
        )


def test_two_roots_for_one_size_are_caught() -> None:
    with pytest.raises(ProofError, match="two roots for one size"):
        verify_consistency(
            first=3, second=3, proof=(), first_root=bytes(32), second_root=bytes([1] * 32)
        )


def test_proof_is_refused_when_a_step_is_not_a_hash() -> None:
    root = bytes.fromhex(ROOTS[2])
    with pytest.raises(ProofError, match="not 32 bytes"):
        verify_consistency(first=1, second=2, proof=[b"x"], first_root=root, second_root=root)


def test_empty_consistency_proof_is_too_short_when_the_first_tree_is_ragged() -> None:
    with pytest.raises(ProofError, match="too short"):
        verify_consistency(
            first=3,
            second=8,
            proof=(),
            first_root=bytes.fromhex(ROOTS[3]),
            second_root=bytes.fromhex(ROOTS[8]),
        )


def test_frontier_is_refused_when_peaks_do_not_fit_the_size() -> None:
    with pytest.raises(ProofError, match="3 leaves does not have 1 peaks"):
        Frontier(3, (bytes(32),))
