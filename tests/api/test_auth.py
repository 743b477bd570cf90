from __future__ import annotations

from typing import Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.api.conftest import Api

FORGET: Final = {"user": "me", "scope": {"kind": "all"}}


def test_a_user_may_not_act_for_another(api: Api) -> None:
    token = api.user_token("me")

    assert api.client.get("/recommend/you", headers=token).status_code == 403
    body = FORGET | {"user": "you"}
    assert api.client.post("/forget", json=body, headers=token).status_code == 403
    assert api.client.get("/users/you/suppressions", headers=token).status_code == 403
    assert api.client.delete("/users/you/interactions/e-1", headers=token).status_code == 403


def test_a_token_that_is_over_opens_nothing(api: Api) -> None:
    token = api.user_token("me", exp=1)

    assert api.client.get("/recommend/me", headers=token).status_code == 401


@pytest.mark.parametrize("claims", [{"sub": "me"}, {"exp": 4_000_000_000}])
def test_a_token_without_an_end_or_a_subject_opens_nothing(
    api: Api, claims: dict[str, object]
) -> None:
    token = jwt.encode(claims, api.key, algorithm="EdDSA")
    headers = {"Authorization": f"Bearer {token}"}

    assert api.client.get("/recommend/me", headers=headers).status_code == 401


def test_a_token_signed_by_someone_else_opens_nothing(api: Api) -> None:
    claims = {"sub": "me", "exp": 4_000_000_000}
    token = jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA")
    headers = {"Authorization": f"Bearer {token}"}

    assert api.client.get("/recommend/me", headers=headers).status_code == 401


def test_a_401_says_how_to_authenticate(api: Api) -> None:
    answer = api.client.get("/recommend/me")

    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "unauthenticated"
