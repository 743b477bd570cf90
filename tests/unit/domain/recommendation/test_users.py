"""Numbers for users are those of a dict, and who left leaves nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.models import Pseudonym
from app.domain.recommendation.users import Users, told
from tests.names import called

# Users that all want the same place in the table, and users that want one each.
CROWD = [Pseudonym(f"{word:016x}{n:016x}" * 2) for n in range(20) for word in (n, 2**63)]
USERS = [*CROWD, *(called(str(n)) for n in range(60))]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(USERS), st.booleans()), max_size=200))
def test_users_are_found_after_any_comings_and_goings(steps: list[tuple[Pseudonym, bool]]) -> None:
    users, number = Users(), dict[Pseudonym, int]()

    for user, comes in steps:
        if comes:
            number[user] = users.take(user)
        elif user in number:
            users.drop(number.pop(user))
        assert len(users) == len(number)
    assert {user: users.find(user) for user in USERS} == {user: number.get(user) for user in USERS}
    assert {user: users.name(at) for user, at in number.items()} == {user: user for user in number}
    assert sorted(users.numbers().tolist()) == sorted(number.values())
    ids, numbers = users.in_order()
    assert list(told(ids)) == sorted(number)
    assert numbers.tolist() == [number[user] for user in sorted(number)]


def test_numbers_are_small_and_used_again() -> None:
    users = Users()
    for user in USERS:
        users.take(user)

    for user in USERS[10:40]:
        users.drop(users.take(user))

    assert {users.take(called(f"new-{n}")) for n in range(30)} == set(range(10, 40))
    assert users.take(called("another")) == len(USERS)


@pytest.mark.timeout(20)  # where the table is full, who is sought is sought for ever
def test_who_comes_one_by_one_finds_room_after_many_came_at_once_and_left() -> None:
    users = Users()
    for turn in range(4):
        names = [called(f"{turn}-{n}") for n in range(40)]
        users.take_all(np.frombuffer(bytes.fromhex("".join(names)), dtype=np.uint8).reshape(-1, 32))
        for name in names:
            users.drop(users.take(name))

    taken = [users.take(called(f"new-{n}")) for n in range(160)]

    assert sorted(taken) == list(range(160))
    assert users.find(called("nobody")) is None


def test_who_left_leaves_no_byte() -> None:
    users = Users()
    for user in USERS:
        users.take(user)
    for user in USERS[::-1]:
        users.drop(users.take(user))

    assert not np.count_nonzero(users._ids)  # noqa: SLF001 - the claim is about what is held
    assert not np.count_nonzero(users._table)  # noqa: SLF001 - the same


@pytest.mark.parametrize(
    "told", ["", "anna", "A" * 64, "a" * 63, " " + "a" * 64, "a" * 66, "g" * 64]
)
def test_what_is_no_pseudonym_is_refused_and_not_repeated(told: str) -> None:
    with pytest.raises(ValueError, match="hex digits") as caught:
        Users().find(Pseudonym(told))

    assert not told.strip() or told not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from(USERS), max_size=120), max_size=6))
def test_many_users_at_once_get_numbers_as_one_by_one(batches: list[list[Pseudonym]]) -> None:
    users, number = Users(), dict[Pseudonym, int]()

    for batch in batches:
        ids = np.frombuffer(bytes.fromhex("".join(batch)), dtype=np.uint8).reshape(-1, 32)
        for user, at in zip(batch, users.take_all(ids).tolist(), strict=True):
            assert number.setdefault(user, at) == at

    assert sorted(number.values()) == list(range(len(users)))
    assert {user: users.find(user) for user in USERS} == {user: number.get(user) for user in USERS}
    assert {user: users.name(at) for user, at in number.items()} == {user: user for user in number}
    for user in list(number)[::2]:
        users.drop(number.pop(user))
    assert {user: users.find(user) for user in USERS} == {user: number.get(user) for user in USERS}
