"""Ids of users, events and items: one rule, and every id it lets in works on every route."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from app.domain.errors import InvalidInputError
from app.wire.ids import item_id, user_id
from tests.api.conftest import SERVICE, Api

WHEN = "2025-01-01T00:00:00Z"
ODD = ["tenant/42", "/edge/", "a//b", "a.b", "ü+1@example.org", "a?#d", "export/rights"]
UNREADABLE = [
    " alice",
    "alice ",
    "\u00a0alice",
    "a\u200bb",
    "a\u202eb",
    "a\nb",
    "a\u0085b",
    " ",
    "",
]
RETURNS_HERE = [".", "..", "a/../b", "x%2Fy"]
"""Ids that some client or proxy changes in an address; a body holds them."""


def view(user: str, *, event: str = "1", item: str = "sea-01") -> dict[str, str]:
    told = {"event_id": event, "user": user, "kind": "view", "item_id": item}
    return told | {"occurred_at": WHEN}


@pytest.mark.parametrize("user", ODD)
def test_an_id_that_is_taken_in_works_on_every_route_with_an_address(api: Api, user: str) -> None:
    client, at = api.client, quote(user, safe="")
    assert client.post("/interactions", json=[view(user)], headers=SERVICE).json()["accepted"] == 1

    listed = client.get(f"/recommend/{at}", headers=SERVICE).json()
    export = client.get(f"/users/{at}/export", headers=SERVICE).json()
    put = client.put(f"/users/{at}/objection", headers=SERVICE)
    rights = client.get(f"/users/{at}/rights", headers=SERVICE).json()
    topics = client.get(f"/users/{at}/suppressions", headers=SERVICE)
    gone = client.delete(f"/users/{at}/interactions/1", headers=api.user_token(user))

    assert (listed["user"], listed["personalised"]) == (user, True)
    assert (export["user"], len(export["interactions"])) == (user, 1)
    assert (put.status_code, rights["objection"], topics.json()) == (200, True, [])
    assert gone.status_code == 202


@pytest.mark.parametrize("user", [*ODD, *RETURNS_HERE])
def test_every_id_works_without_standing_in_an_address(api: Api, user: str) -> None:
    client, user = api.client, f"{user}|body"
    assert client.post("/interactions", json=[view(user)], headers=SERVICE).json()["accepted"] == 1
    topic = {"user": user, "scope": {"kind": "topic", "text": "Rockets"}}
    assert client.post("/forget", json=topic, headers=SERVICE).status_code == 202

    def ask(name: str, **more: object) -> dict[str, Any]:
        answer = client.post(f"/users/{name}", json={"user": user} | more, headers=SERVICE)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    export, topics = ask("export", embeddings=False), ask("suppressions")
    [unwanted] = topics["unwanted_topics"]
    assert ask("suppressions", lift=[unwanted["topic_id"]]) == {"unwanted_topics": []}
    assert len(export["interactions"]) == 1
    assert ask("rights") == {"restriction": False, "objection": False}
    assert ask("rights", restriction=True) == {"restriction": True, "objection": False}
    assert ask("rights", objection=True, restriction=False)["objection"] is True
    assert ask("rights") == {"restriction": False, "objection": True}


def test_a_users_token_opens_the_body_forms_for_that_user_only(api: Api) -> None:
    for name in ("export", "rights", "suppressions"):
        for token, status in (("own/1", 200), ("other", 403)):
            answer = api.client.post(
                f"/users/{name}", json={"user": "own/1"}, headers=api.user_token(token)
            )
            assert answer.status_code == status, name


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_id_that_looks_like_another_is_refused_at_every_door_and_not_repeated(
    api: Api, text: str
) -> None:
    client = api.client
    bodies: list[tuple[str, object]] = [
        ("/interactions", [view(text)]),
        ("/interactions", [view("ok", event=text)]),
        ("/interactions", [view("ok", item=text)]),
        ("/items", [{"item_id": text, "title": "A title"}]),
        ("/forget", {"user": text, "scope": {"kind": "all"}}),
        ("/forget", {"user": "ok", "scope": {"kind": "items", "item_ids": [text]}}),
        ("/recommend", {"user": text}),
        ("/users/export", {"user": text}),
    ]
    for path, body in bodies:
        answer = client.post(path, json=body, headers=SERVICE)
        assert answer.status_code == 422, (path, answer.text)
    for read in (user_id, item_id):
        with pytest.raises(InvalidInputError) as caught:
            read(text)
        assert not text.strip() or text not in caught.value.message


def test_one_letter_typed_in_two_ways_is_one_person(api: Api) -> None:
    composed, apart = "jos\u00e9", "jose\u0301"
    told = api.client.post("/interactions", json=[view(apart)], headers=SERVICE).json()
    export = api.client.get(f"/users/{quote(composed)}/export", headers=SERVICE).json()

    assert (told["accepted"], export["user"], len(export["interactions"])) == (1, composed, 1)
    assert user_id(apart) == composed
    assert user_id("José") != user_id("josé") != user_id("jose")


@pytest.mark.parametrize("item", ODD)
def test_an_item_of_any_id_lives_at_its_address(api: Api, item: str) -> None:
    at = f"/items/{quote(item, safe='')}"

    put = api.client.put(at, json={"title": "A hose"}, headers=SERVICE)
    got = api.client.get(at, headers=SERVICE)
    gone = api.client.delete(at, headers=SERVICE)

    assert (put.status_code, got.json()["item_id"], gone.status_code) == (200, item, 204)
