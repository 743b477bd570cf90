"""Lists that grow in one array: room that was made is there, even where it was made by tidying."""

from __future__ import annotations

import numpy as np

from app.adapters.neighbours.postings import Postings

N_USERS = 400
N_ITEMS = 40


def test_every_list_holds_what_was_put_into_it_however_often_the_array_was_tidied() -> None:
    rng = np.random.default_rng(7)
    postings = Postings()
    postings.ensure(n_users=N_USERS, n_items=N_ITEMS)
    told: dict[int, list[int]] = {}

    for _ in range(3_000):
        user = int(rng.integers(N_USERS))
        told[user] = rng.permutation(N_ITEMS)[: rng.integers(1, 12)].tolist()
        postings.replace(user, np.array(told[user]))

    for user, items in told.items():
        assert postings.users.of(user).tolist() == items
    for item in range(N_ITEMS):
        expected = {user for user, items in told.items() if item in items}
        assert sorted(postings.items.of(item).tolist()) == sorted(expected)
