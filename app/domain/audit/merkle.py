"""The audit log's Merkle tree: RFC 9162 section 2.1, in a form that a table can keep.

The tree over n leaves is a row of *peaks*: perfect subtrees, largest first, one for each bit
set in n. Only perfect subtrees are ever kept, as nodes ``(level, position)``: the node
covers the ``2**level`` leaves from number ``position * 2**level`` on, and once complete it
never changes. So a table of nodes is append-only like the leaves, one leaf completes less than one
node on average, and any root or proof at any past size is O(log n) reads.

Everything here is a pure function; hashes are 32 bytes, SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Final, NamedTuple

from app.domain.errors import IntegrityError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of the tree without leaves, RFC 9162 section 2.1.1."""
_LEAF_PREFIX: Final = b"\x00"
_NODE_PREFIX: Final = b"\x01"


class ProofError(IntegrityError):
    """A proof, a root or a stored node does not hold what it should."""

    code: ClassVar[str] = "proof_invalid"


class NodeId(NamedTuple):
    """Place of a perfect subtree: ``2**level`` leaves from leaf ``position * 2**level`` on."""

    level: int
    position: int


class Node(NamedTuple):
    """A perfect subtree's hash with its place."""

    at: NodeId
    hash: bytes


ReadNode = Callable[[int, int], bytes]
"""(level, position) -> 32-byte hash of a perfect subtree; level 0 is the leaf hash."""


def leaf_hash(body: bytes) -> bytes:
    """Return SHA-256(0x00 || body), the hash of a leaf."""
    return hashlib.sha256(_LEAF_PREFIX + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right), the hash of an inner node."""
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that appending needs: the size and the peaks' hashes, largest first.

    Args:
        size: number of leaves, >= 0.
        peaks: one hash for each bit set in ``size``.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a frontier whose parts contradict each other."""
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            message = f"a tree of {self.size} leaves does not have {len(self.peaks)} peaks"
            raise ProofError(message)

    def root(self) -> bytes:
        """Return the RFC 9162 root, O(log n)."""
        return _fold(self.peaks) if self.peaks else EMPTY_ROOT


def extend(frontier: Frontier, leaf_hashes: Iterable[bytes]) -> tuple[Frontier, list[Node]]:
    """Append leaves by their hashes.

    Returns:
        The new frontier, and the inner nodes (level >= 1) that these leaves completed, in the
        order of their completion: 2 * k - O(log n) hashes for k leaves, leaves included.
    """
    size, peaks, completed = frontier.size, list(frontier.peaks), []
    for hashed in leaf_hashes:
        carried = hashed
        for level in range(_trailing_ones(size)):
            carried = node_hash(peaks.pop(), carried)
            completed.append(Node(NodeId(level + 1, size >> (level + 1)), carried))
        peaks.append(carried)
        size += 1
    return Frontier(size, tuple(peaks)), completed


def peak_nodes(size: int) -> tuple[NodeId, ...]:
    """Return the places of the peaks of a tree of ``size`` leaves, largest first."""
    return _range_nodes(0, size)


def root_at(size: int, *, read_node: ReadNode) -> bytes:
    """Return the root over the first ``size`` leaves, O(log n) reads."""
    return _range_root(0, size, read_node) if size else EMPTY_ROOT


def inclusion_nodes(index: int, *, size: int) -> tuple[NodeId, ...]:
    """Return the nodes that ``inclusion_proof`` will read, to fetch them at once."""
    return _nodes_of(_inclusion_ranges(index, size))


def inclusion_proof(index: int, *, size: int, read_node: ReadNode) -> tuple[bytes, ...]:
    """Return the audit path of leaf ``index`` in the tree of ``size`` leaves, leaf side first.

    At most ceil(log2 size) hashes from at most 2 * ceil(log2 size) reads.
    Source: RFC 9162 section 2.1.3.1.

    Raises:
        ProofError: not 0 <= index < size.
    """
    return tuple(_range_root(*span, read_node) for span in _inclusion_ranges(index, size))


def consistency_nodes(first: int, *, second: int) -> tuple[NodeId, ...]:
    """Return the nodes that ``consistency_proof`` will read, to fetch them at once."""
    return _nodes_of(_consistency_ranges(first, second))


def consistency_proof(first: int, *, second: int, read_node: ReadNode) -> tuple[bytes, ...]:
    """Return the proof that the tree of ``first`` leaves is a prefix of that of ``second``.

    Empty where both are equal. Source: RFC 9162 section 2.1.4.1.

    Raises:
        ProofError: not 0 < first <= second.
    """
    return tuple(_range_root(*span, read_node) for span in _consistency_ranges(first, second))


def verify_consistency(
    *, first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes
) -> None:
    """Check that the tree under ``first_root`` is a prefix of the one under ``second_root``.

    Source: RFC 9162 section 2.1.4.2.

    Raises:
        ProofError: it is not, or the proof is malformed.
    """
    _require(0 < first <= second, f"no consistency proof from {first} to {second}")
    _require(all(len(step) == HASH_BYTES for step in proof), "a hash is not 32 bytes")
    if first == second:
        _require(not proof, "the consistency proof is too long")
        _require(first_root == second_root, "two roots for one size")
        return
    # A first tree that is one perfect subtree is its own starting point and left out of the proof.
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    _require(bool(path), "the consistency proof is too short")
    position, last = first - 1, second - 1
    shift = _trailing_ones(position)
    position, last = position >> shift, last >> shift
    old = new = path[0]
    for step in path[1:]:
        _require(last > 0, "the consistency proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, step)
        position, last = position >> 1, last >> 1
    _require(last == 0, "the consistency proof is too short")
    _require(old == first_root, "the consistency proof does not start at the first root")
    _require(new == second_root, "the consistency proof does not lead to the second root")


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - an assertion reads best so
    if not holds:
        raise ProofError(message)


def _trailing_ones(number: int) -> int:
    return (number ^ (number + 1)).bit_length() - 1


def _split(size: int) -> int:
    """Return the largest power of two below ``size`` (> 1): where RFC 9162 splits a tree."""
    return 1 << ((size - 1).bit_length() - 1)


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Join the hashes of adjacent perfect subtrees, largest first, into the root over them."""
    result = peaks[-1]
    for peak in reversed(peaks[:-1]):
        result = node_hash(peak, result)
    return result


def _range_nodes(begin: int, end: int) -> tuple[NodeId, ...]:
    """Return the perfect subtrees that make up leaves ``begin`` to ``end - 1``, largest first.

    ``begin`` is a multiple of the smallest power of two >= ``end - begin``, as in every split.
    """
    nodes = []
    at = begin
    for level in range((end - begin).bit_length() - 1, -1, -1):
        if (end - begin) >> level & 1:
            nodes.append(NodeId(level, at >> level))
            at += 1 << level
    return tuple(nodes)


def _range_root(begin: int, end: int, read_node: ReadNode) -> bytes:
    return _fold([read_node(node.level, node.position) for node in _range_nodes(begin, end)])


def _nodes_of(spans: Iterable[tuple[int, int]]) -> tuple[NodeId, ...]:
    return tuple(chain.from_iterable(_range_nodes(*span) for span in spans))


def _inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots are the audit path, leaf side first."""
    _require(0 <= index < size, f"there is no leaf {index} in a tree of {size}")
    return list(_descent(index, begin=0, end=size))[::-1]


def _descent(index: int, *, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Walk from the root down to leaf ``index``; yield the range of the side not taken."""
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            yield middle, end
            end = middle
        else:
            yield begin, middle
            begin = middle


def _consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots are the consistency proof, in its order."""
    _require(0 < first <= second, f"no consistency proof from {first} to {second}")
    ranges = []
    begin, end = 0, second
    # SUBPROOF of RFC 9162, unrolled: descend until the first tree's end is a subtree's end.
    while end != first:
        middle = begin + _split(end - begin)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:
        ranges.append((begin, end))
    return ranges[::-1]
