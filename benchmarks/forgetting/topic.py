"""Forgetting "Star Wars" for 50 people of MovieLens 100K, and a replay after 100 forgets.

``python -m benchmarks.forgetting.topic`` loads the whole set (``LETHE_MOVIELENS_DIR``), lets 50
users who saw Star Wars forget the topic, and compares with a second service that was built without
what they forgot. Then 100 others are forgotten whole, and the whole set is sent once more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from app.domain.erasure.scope import AllScope, Scope, TopicScope
from app.domain.models import RequestId
from app.domain.recommendation.topic import mentions
from app.services.erasure.requests import ForgetCommand
from app.services.ingestion.outcomes import IngestResult
from benchmarks.forgetting.films import (
    Films,
    Listed,
    listed,
    load,
    read_films,
    remembered,
    send,
    serving_films,
)
from benchmarks.harness import write_result
from tests.world import World

SEED: Final = 2026
TOPIC: Final = "Star Wars"
SERIES: Final = ("Star Wars (1977)", "Empire Strikes Back, The (1980)", "Return of the Jedi (1983)")
"""The films that somebody means who says so. The set's titles name the first one only."""
_LONG: Final = 100
_ATTEMPTS: Final = 10


def forget(world: World, user: str, scope: Scope) -> RequestId:
    """Accept an erasure; the worker has not looked yet."""
    command = ForgetCommand(pseudonym=world.user(user), scope=scope)
    return world.container.forget.accept(command).request.request_id


def erase(world: World, requests: Sequence[RequestId]) -> dict[str, float]:
    """Do what a worker does, for one request after the other; return seconds each.

    A probe that is not satisfied sends a request back to the scrub; that is counted.

    Raises:
        RuntimeError: a request is not completed after ten attempts.
    """
    times, sent_back = [], 0
    done: frozenset[RequestId] = frozenset()
    world.settle()
    for request_id in requests:
        started_s = time.monotonic()
        for _ in range(_ATTEMPTS):
            # One call works on others that wait as well; those are completed already.
            done |= world.container.erase.execute(request_id)
            if request_id in done:
                break
            sent_back += 1
            time.sleep(1.0)
        else:
            raise RuntimeError(request_id)
        times.append(time.monotonic() - started_s)
    ordered = sorted(times)
    return {
        "p50": round(statistics.median(ordered), 2),
        "max": round(ordered[-1], 2),
        "all": round(sum(ordered), 1),
        "sent_back": sent_back,
    }


def resolution(
    gone: Mapping[str, set[str]], seen: Mapping[str, set[str]], truth: set[str]
) -> dict[str, object]:
    """Compare what a topic was resolved to with what it should be: precision and recall."""
    hit = sum(len(gone[user] & truth) for user in gone)
    said, wanted = sum(map(len, gone.values())), sum(len(seen[user] & truth) for user in gone)
    return {
        "resolved": said,
        "right": hit,
        "in_memory": wanted,
        "precision": round(hit / said, 4) if said else None,
        "recall": round(hit / wanted, 4) if wanted else None,
    }


def topic(
    live: World, films: Films, users: Sequence[str]
) -> tuple[dict[str, object], dict[str, set[str]]]:
    """Forget the topic for ``users``; return the figures, and which items each one forgot."""
    titles: dict[str, str] = {item.item_id: item.title for item in films.items}
    by_title = {one for one, title in titles.items() if mentions(title, topic=TOPIC)}
    series = {one for one, title in titles.items() if title in SERIES}
    seen = {user: remembered(live, user) for user in users}
    named_before = sum(bool(by_title & seen[user]) for user in users)
    requests = [forget(live, user, TopicScope(TOPIC)) for user in users]
    at_once = {user: listed(live, user, n=_LONG) for user in users}
    seconds = erase(live, requests)
    live.settle()
    left = {user: remembered(live, user) for user in users}
    gone = {user: seen[user] - left[user] for user in users}
    lists = {user: listed(live, user, n=_LONG) for user in users}
    wrong = sorted({titles[one] for user in users for one in gone[user] - series})
    missed = sorted({titles[one] for user in users for one in left[user] & series})
    figures: dict[str, object] = {
        "users": len(users),
        "users_who_remembered_it": named_before,
        "memories_left": sum(len(left[user] & by_title) for user in users),
        "listed_after_the_202": _shown(at_once, by_title),
        "listed_after_completion": _shown(lists, by_title),
        "still_personalised": sum(one.is_personalised for one in lists.values()),
        "against_titles": resolution(gone, seen, by_title),
        "against_the_series": resolution(gone, seen, series),
        "taken_besides_the_series": wrong,
        "of_the_series_left": missed,
        "erasure_s": seconds,
    }
    return figures, gone


def _shown(lists: Mapping[str, Listed], items: set[str]) -> int:
    """Count lists that recommend one of ``items``, or give it as a reason."""
    return sum(bool(items & {*one.items, *one.because}) for one in lists.values())


def bystanders(live: World, rebuilt: World, users: Sequence[str]) -> dict[str, object]:
    """Compare the lists of others, and of those who forgot, with those of a rebuild."""
    before, after = live.adapters.neighbours, rebuilt.adapters.neighbours
    same = dict.fromkeys((10, _LONG), 0)
    for user in users:
        for n in same:
            same[n] += listed(live, user, n=n) == listed(rebuilt, user, n=n)
    return {
        "users": len(users),
        "same_top_10": same[10],
        f"same_top_{_LONG}": same[_LONG],
        "same_state": before.state_hash() == after.state_hash(),
    }


def replay(live: World, films: Films, users: Sequence[str]) -> dict[str, object]:
    """Forget ``users`` whole, send the whole set again, and count what is back."""
    requests = [forget(live, user, AllScope()) for user in users]
    during = send(live, films.interactions)
    seconds = erase(live, requests)
    live.settle()
    state = live.adapters.neighbours.state_hash()
    after = send(live, films.interactions)
    live.settle()
    lists = [listed(live, user, n=10) for user in users]
    with live.adapters.uows.read() as uow:
        rows = sum(sum(uow.subjects.mentions(live.user(user)).values()) for user in users)
    return {
        "forgets": len(users),
        "sent": len(films.interactions),
        "back": during.accepted + after.accepted,
        "during": _counts(during),
        "after": _counts(after),
        "rows_that_name_them": rows,
        "personalised": sum(one.is_personalised for one in lists),
        "same_state_as_before": live.adapters.neighbours.state_hash() == state,
        "erasure_s": seconds,
    }


def _counts(told: IngestResult) -> dict[str, int]:
    return {"accepted": told.accepted, "known": told.duplicate, "refused": told.refused}


def main() -> None:
    """Measure, print and write both results; the exit code is 1 where anything came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subset", type=int, help="load only what so many users did")
    parser.add_argument("--topics", type=int, default=50)
    parser.add_argument("--forgets", type=int, default=100)
    arguments = parser.parse_args()
    films = read_films(n_users=arguments.subset, seed=SEED)
    by_user = films.by_user()
    star_wars = {one.item_id for one in films.items if one.title == SERIES[0]}
    saw = sorted(
        user for user, done in by_user.items() if star_wars & {one.item_id for one in done}
    )
    rng = random.Random(SEED)  # noqa: S311 - a choice, not a secret
    # The bytes of freed memory must not reach a file: docs/decisions/0008.
    if "MALLOC_PERTURB_" not in os.environ:
        sys.exit("run it as `make topic` does, with MALLOC_PERTURB_ set")
    choosing = sorted(rng.sample(saw, arguments.topics))
    others = sorted(set(by_user) - set(choosing))
    leaving = sorted(rng.sample(others, arguments.forgets))
    size = {
        "seed": SEED,
        "data": "ml-100k",
        "loaded_users": len(by_user),
        "loaded": len(films.interactions),
    }
    with tempfile.TemporaryDirectory(prefix="lethe-topic-") as made:
        folder = Path(made)
        with serving_films(folder / "live") as live:
            load(live, films, without=lambda _: False)
            figures, gone = topic(live, films, choosing)
            with serving_films(folder / "rebuilt", like=folder / "live") as rebuilt:
                load(rebuilt, films, without=lambda one: one.item_id in gone.get(one.user, ()))
                figures["bystanders"] = bystanders(live, rebuilt, others)
            write_result("topic", {**size, "topic": TOPIC, **figures})
            print(json.dumps(figures, indent=2))
            replayed = replay(live, films, leaving)
    print(json.dumps(replayed, indent=2))
    write_result("replay", {**size, **replayed})
    if figures["memories_left"] or replayed["back"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
