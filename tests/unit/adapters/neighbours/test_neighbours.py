"""What the exact neighbours promise beyond the port."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
import pytest

from app.adapters.neighbours import ExactNeighbours, UserKnn, exact
from app.adapters.neighbours.ease import Downdate, Ease, Removal, fit
from app.adapters.neighbours.inverse import invert
from app.adapters.neighbours.lists import Ints
from app.adapters.neighbours.weighing import Weighing
from app.domain.models import ItemId, Scored
from tests.names import called

N_USERS, N_ITEMS = 200, 70
PLAIN = Weighing(regularisation=50.0, is_graded=False)
GRADED = Weighing(regularisation=2.0, is_graded=True)


def interactions(seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    popularity = 0.6 / np.sqrt(np.arange(1, N_ITEMS + 1))
    return (rng.random((N_USERS, N_ITEMS)) < popularity).astype(np.float64)


def ids(row: Iterable[float]) -> tuple[ItemId, ...]:
    return tuple(ItemId(f"{item:03}") for item, has in enumerate(row) if has)


def weighed(
    matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]], weighing: Weighing
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    lengths = matrix.sum(axis=1).astype(int).tolist()
    weights = np.array([weighing.of_user(length) / 32 if length else 0 for length in lengths])
    product: np.ndarray[tuple[int, int], np.dtype[np.float64]] = (matrix.T * weights) @ matrix
    return product


def ridge(
    matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]], weighing: Weighing
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.diag(weighing.ridge(matrix.sum(axis=0).astype(np.int64)))


def fitted(
    matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]], weighing: Weighing = PLAIN
) -> Ease:
    items = [ItemId(f"{item:03}") for item in range(N_ITEMS)]
    degrees = matrix.sum(axis=0).astype(np.int64)
    return fit(weighed(matrix, weighing), items=items, degrees=degrees, weighing=weighing)


def places(row: Iterable[float]) -> Ints:
    return np.flatnonzero(np.array(list(row)))


def neighbours_of(
    matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]], *, max_removals: int = 128
) -> ExactNeighbours:
    neighbours = ExactNeighbours(
        regularisation=2.0,
        is_graded=True,
        max_removals=max_removals,
        recency=0.9,
        knn=UserKnn(n_neighbours=20, length_penalty=0.5, max_cells=10_000),
    )
    neighbours.build((called(f"u{user:03}"), ids(row)) for user, row in enumerate(matrix))
    return neighbours


@pytest.mark.parametrize("n", [1, 2, 511, 512, 513, 1100])
def test_inverse_is_numpys_and_the_same_bits_again(n: int) -> None:
    rng = np.random.default_rng(n)
    half = rng.random((n + 5, n))
    matrix = half.T @ half + 5 * np.eye(n)

    inverse = invert(np.tril(matrix))

    assert np.abs(inverse - np.linalg.inv(matrix)).max() < 1e-12
    assert (inverse == inverse.T).all()
    assert inverse.tobytes() == invert(matrix.copy()).tobytes()


def test_inverse_refuses_what_is_not_positive_definite() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        invert(np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_users_and_items_are_weighed_by_whole_numbers() -> None:
    degrees = np.array([0, 1, 2, 3, 4, 255, 256])

    assert [GRADED.of_user(length) for length in (1, 25, 100, 101, 2_000)] == [320, 64, 32, 31, 7]
    expected = 2.0 * np.sqrt(2.0) ** np.array([0, 1, 2, 2, 3, 8, 9])
    assert np.allclose(GRADED.ridge(degrees), expected, rtol=1e-15)
    assert {PLAIN.of_user(length) for length in (1, 100, 2_000)} == {32}
    assert (PLAIN.ridge(degrees) == 50).all()


def test_ease_is_its_closed_form() -> None:
    matrix = interactions(0)
    model = fitted(matrix)

    inverse = np.linalg.inv(matrix.T @ matrix + 50 * np.eye(N_ITEMS))
    expected = -inverse / inverse.diagonal()
    np.fill_diagonal(expected, 0)
    assert np.abs(model.weights - expected).max() < 1e-6
    assert model.residual < 1e-12


@pytest.mark.parametrize("weighing", [PLAIN, GRADED])
@pytest.mark.parametrize("seed", range(5))
def test_downdate_is_within_a_billionth_of_the_refit(seed: int, weighing: Weighing) -> None:
    matrix = interactions(seed)
    model = fitted(matrix, weighing)
    after = matrix.copy()
    after[:10] = 0
    after[10:15, ::2] = 0

    removals = [
        Removal(model, had=places(matrix[user]), keeps=places(after[user])) for user in range(15)
    ]
    downdate = Downdate(model, removals)

    refit = np.linalg.inv(weighed(after, weighing) + ridge(after, weighing))
    history = places(matrix[20])
    counts = np.linspace(1.0, 0.1, len(history))
    expected = -(counts @ refit[history]) / refit.diagonal()
    assert downdate.is_sound
    assert np.abs(downdate.scores(history, counts) - expected).max() < 1e-9


def test_downdate_is_unsound_when_it_takes_out_what_was_never_in() -> None:
    model = fitted(interactions(1))
    everything = np.arange(N_ITEMS)

    removals = [Removal(model, had=everything, keeps=everything[:0]) for _ in range(60)]

    assert not Downdate(model, removals).is_sound


def test_downdate_is_unsound_when_its_model_is() -> None:
    matrix = interactions(1)
    exact = fitted(matrix)
    broken = Ease(
        items=exact.items,
        position=exact.position,
        inverse=exact.inverse,
        diagonal=exact.diagonal,
        weights=exact.weights,
        degrees=exact.degrees,
        weighing=exact.weighing,
        residual=1e-3,
        generation=0,
    )
    removal = Removal(broken, had=places(matrix[0]), keeps=places([]))

    assert not Downdate(broken, [removal]).is_sound


def test_answers_before_the_refresh_rank_as_the_rebuild() -> None:
    matrix = interactions(2)
    neighbours = neighbours_of(matrix)
    matrix[:3] = 0

    neighbours.apply({called(f"u{user:03}"): () for user in range(3)})

    rebuilt = neighbours_of(matrix)
    for row in matrix[3:40]:
        shown = neighbours.recommend(sorted(ids(row)), top_n=10)
        expected = rebuilt.recommend(sorted(ids(row)), top_n=10)
        assert [scored.item_id for scored in shown] == [scored.item_id for scored in expected]
        assert np.allclose([s.score for s in shown], [s.score for s in expected], atol=1e-5)


@pytest.mark.parametrize("is_refreshing", [False, True])
def test_a_forget_takes_what_its_user_had_only_written_away_before(*, is_refreshing: bool) -> None:
    """The model still says it, and the forget itself may change nothing else."""
    matrix = interactions(2)
    neighbours, user, items = neighbours_of(matrix), called("u000"), ids(matrix[0])
    neighbours.apply({called("other"): items[:2]})
    begun = neighbours._begin() if is_refreshing else None  # noqa: SLF001 - between copy and swap

    neighbours.apply({user: items[2:]}, at_once=())
    written = (neighbours.is_settled(), neighbours.edition())
    neighbours.apply({user: items[2:]}, at_once={user})
    if begun is not None:
        model = fit(
            begun[0].ordered(), items=begun[0].items, degrees=begun[0].degrees, weighing=GRADED
        )
        neighbours._install(model, begun[1])  # noqa: SLF001 - as above

    assert written[0]
    assert not neighbours.is_settled()
    assert neighbours.edition() > written[1]
    matrix[0][np.flatnonzero(matrix[0])[:2]] = 0
    rebuilt = neighbours_of(matrix)
    if begun is not None:
        rebuilt.apply({called("other"): items[:2]})
        rebuilt.refresh()
    for row in matrix[1:40]:
        shown = neighbours.recommend(sorted(ids(row)), top_n=10, in_sitting=False)
        expected = rebuilt.recommend(sorted(ids(row)), top_n=10, in_sitting=False)
        assert [one.item_id for one in shown] == [one.item_id for one in expected]
        assert np.allclose([s.score for s in shown], [s.score for s in expected], atol=1e-5)


def test_answers_are_the_postings_alone_when_too_many_were_removed() -> None:
    matrix = interactions(3)
    neighbours = neighbours_of(matrix, max_removals=2)
    matrix[:3] = 0

    neighbours.apply({called(f"u{user:03}"): () for user in range(3)})

    only_knn = ExactNeighbours(
        dense_limit=0,
        recency=0.9,
        knn=UserKnn(n_neighbours=20, length_penalty=0.5, max_cells=10_000),
    )
    only_knn.build((called(f"u{user:03}"), ids(row)) for user, row in enumerate(matrix))
    history = sorted(ids(matrix[50]))
    assert neighbours.recommend(history, top_n=10) == only_knn.recommend(history, top_n=10)


def test_removing_and_giving_back_restores_the_model() -> None:
    matrix = interactions(4)
    neighbours = neighbours_of(matrix)
    history = sorted(ids(matrix[9]))
    before = neighbours.recommend(history, top_n=10)

    neighbours.apply({called("u000"): ()})
    neighbours.apply({called("u000"): ids(matrix[0])})

    assert neighbours.is_settled()
    assert neighbours.recommend(history, top_n=10) == before


def test_a_removal_during_a_refresh_is_not_lost() -> None:
    matrix = interactions(5)
    neighbours = neighbours_of(matrix)
    neighbours.apply({called("late"): [ItemId("000"), ItemId("001")]})
    begun = neighbours._begin()  # noqa: SLF001 - the moment between copy and swap
    assert begun is not None

    neighbours.apply({called("late"): ()})
    assert not neighbours.is_settled()
    neighbours._install(fitted(matrix, GRADED), begun[1])  # noqa: SLF001 - as above

    assert not neighbours.is_settled()
    assert neighbours.refresh()
    assert neighbours.is_settled()


def test_a_refresh_of_an_older_build_is_discarded() -> None:
    matrix = interactions(6)
    neighbours = neighbours_of(matrix)
    neighbours.apply({called("u000"): ()})
    begun = neighbours._begin()  # noqa: SLF001 - the moment between copy and swap
    assert begun is not None
    neighbours._withdraw()  # noqa: SLF001 - what a build does meanwhile

    neighbours._install(fitted(matrix, GRADED), begun[1])  # noqa: SLF001 - as above

    assert not neighbours.is_settled()
    assert neighbours._serving is None  # noqa: SLF001 - nothing older may be served


def test_readers_never_see_a_forgotten_item_while_others_write() -> None:
    matrix = interactions(7)
    matrix[:, N_ITEMS - 1] = 0
    neighbours = neighbours_of(matrix)
    secret = ItemId("secret")
    stop, seen, asked = threading.Event(), list[list[Scored]](), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(neighbours.recommend([ItemId("000"), ItemId("001")], top_n=100))
            asked.set()

    def refresh() -> None:
        while not stop.is_set():
            neighbours.refresh()

    threads = [threading.Thread(target=work) for work in (read, read, refresh)]
    for thread in threads:
        thread.start()
    for number in range(30):
        user = called(f"guest-{number}")
        neighbours.apply({user: [ItemId("000"), ItemId("001"), secret]})
        neighbours.apply({user: ()})
        shown = neighbours.recommend([ItemId("000"), ItemId("001")], top_n=100)
        assert secret not in {scored.item_id for scored in shown}
        asked.clear()
        asked.wait(5)
    stop.set()
    for thread in threads:
        thread.join()

    neighbours.refresh()
    assert seen
    assert neighbours.state_hash(in_full=True) == neighbours_of(matrix).state_hash(in_full=True)
    assert neighbours.is_settled()


def test_forgotten_ids_leave_the_memory_with_the_refresh() -> None:
    neighbours = neighbours_of(interactions(8))
    neighbours.apply({called("only-user"): [ItemId("only-item"), ItemId("000")]})
    neighbours.refresh()
    neighbours.apply({called("only-user"): ()})
    neighbours.refresh()

    state = neighbours._state  # noqa: SLF001 - the claim is about what is held
    serving = neighbours._serving  # noqa: SLF001 - the same
    assert serving is not None
    assert state.users.find(called("only-user")) is None
    ids = state.users._ids.tobytes()  # noqa: SLF001 - the same
    assert bytes.fromhex(called("only-user")) not in ids
    assert "only-item" not in state.items.key
    assert "only-item" not in serving.model.position
    assert not neighbours._losses.had  # noqa: SLF001 - the same


def test_a_build_that_does_not_wait_for_its_hash_comes_to_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exact, "_HASH_WAIT_S", 0.0)
    monkeypatch.setattr(exact, "_HASHED_AT_ONCE", 1)
    items = [ItemId(str(n)) for n in range(18)]
    histories = {called(f"u{n}"): (items[n % 7], items[7 + n % 11]) for n in range(200)}
    built, applied = ExactNeighbours(), ExactNeighbours()

    built.build(histories.items())
    for one in (built, applied):
        one.apply(
            {called("u199"): (), called("u0"): (items[3],), called("new"): (items[1], items[2])}
        )
    applied.apply({who: items for who, items in histories.items() if who != called("u199")})
    applied.apply({called("u0"): (items[3],)})

    while not built.is_hashed():
        pass
    assert built.state_hash() == applied.state_hash()
