"""Users' own tokens: who signed them, for whom, and for how long."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from app.adapters.system.clock import SystemClock
from app.api import user_tokens
from app.api.user_tokens import KeySet, UserTokens

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PEM = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def signed(
    key: Ed25519PrivateKey = KEY, *, kid: str | None = None, claims: dict[str, object] | None = None
) -> str:
    body = {"sub": "ada", "exp": time.time() + 600} | (claims or {})
    headers = {"kid": kid} if kid else None
    return jwt.encode(body, key, algorithm="EdDSA", headers=headers)


def user_of(tokens: UserTokens, token: str) -> str | None:
    return tokens.user_of(token, at=datetime.now(UTC))


@dataclass
class Issuer:
    """A JWKS address that counts how often it is read."""

    keys: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    reads: int = 0
    is_down: bool = False
    url: str = ""

    def document(self) -> bytes:
        found: list[dict[str, Any]] = [
            {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
            for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": found}).encode()


@contextmanager
def issuing(issuer: Issuer) -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.reads += 1
            self.send_response(500 if issuer.is_down else 200)
            self.end_headers()
            self.wfile.write(issuer.document())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        yield issuer
        server.shutdown()


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"iss": "idp", "aud": "lethe"}, "ada"),
        ({"iss": "idp", "aud": ["shop", "lethe"]}, "ada"),
        ({"iss": "another", "aud": "lethe"}, None),
        ({"iss": "idp", "aud": "shop"}, None),
        ({"aud": "lethe"}, None),
        ({"iss": "idp"}, None),
        ({"iss": "idp", "aud": "lethe", "exp": time.time() + 9_000}, None),
        ({"iss": "idp", "aud": "lethe", "exp": time.time() - 1}, None),
        ({"iss": "idp", "aud": "lethe", "exp": True}, None),
    ],
)
def test_a_token_counts_from_its_issuer_for_this_audience_and_not_for_long(
    claims: dict[str, object], user: str | None
) -> None:
    tokens = UserTokens(PEM, issuer="idp", audience="lethe", max_life_s=3_600)

    assert user_of(tokens, signed(claims=claims)) == user


def test_keys_are_found_by_their_id_and_one_id_opens_nothing_for_another() -> None:
    with issuing(Issuer({"a": KEY, "b": OTHER})) as issuer:
        tokens = UserTokens(keys=KeySet(issuer.url, clock=SystemClock()))

        assert user_of(tokens, signed(kid="a")) == "ada"
        assert user_of(tokens, signed(OTHER, kid="b")) == "ada"
        assert user_of(tokens, signed(OTHER, kid="a")) is None
        assert user_of(tokens, signed()) is None  # no id, and no key of the settings
        for number in range(50):
            assert user_of(tokens, signed(kid=f"unknown-{number}")) is None
        assert issuer.reads == 1


def test_keys_go_on_while_their_address_is_down_and_new_ones_come_in_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with issuing(Issuer({"a": KEY})) as issuer:
        tokens = UserTokens(keys=KeySet(issuer.url, clock=SystemClock()))
        assert user_of(tokens, signed(kid="a")) == "ada"

        monkeypatch.setattr(user_tokens, "_AGAIN_S", 0.0)
        issuer.is_down = True
        assert user_of(tokens, signed(OTHER, kid="new")) is None
        assert user_of(tokens, signed(kid="a")) == "ada"

        issuer.is_down, issuer.keys = False, {"new": OTHER}
        assert user_of(tokens, signed(OTHER, kid="new")) == "ada"
        assert user_of(tokens, signed(kid="a")) is None  # withdrawn


def test_an_address_that_never_answers_costs_a_request_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(user_tokens, "_FETCH_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and says nothing
        tokens = UserTokens(
            keys=KeySet(f"http://127.0.0.1:{silent.getsockname()[1]}/keys", clock=SystemClock())
        )

        assert [user_of(tokens, signed(kid="a")) for _ in range(5)] == [None] * 5
