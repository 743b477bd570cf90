from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from app.api.application import create_app
from app.api.slowdown import Slowdown
from app.api.state import Limits, Security, State
from app.api.user_tokens import UserTokens
from app.console import add_console
from app.observability import Metrics
from app.settings_llm import LlmSettings
from tests.world import World, open_world

SERVICE = {"Authorization": "Bearer a-service-token"}
ADMIN = {"Authorization": "Bearer an-admin-token"}
FAR_FUTURE = 4_000_000_000


@dataclass
class Api:
    """The application over a populated world."""

    world: World
    client: TestClient
    key: Ed25519PrivateKey

    def user_token(self, user: str, **claims: object) -> dict[str, str]:
        token = jwt.encode({"sub": user, "exp": FAR_FUTURE} | claims, self.key, algorithm="EdDSA")
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with open_api(tmp_path_factory.mktemp("api")) as opened:
        yield opened


@contextmanager
def open_api(folder: Path, *, llm: LlmSettings | None = None) -> Iterator[Api]:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with open_world(folder, llm=llm or LlmSettings()) as world:
        world.populate()
        state = State(
            container=world.container,
            security=Security("a-service-token", "an-admin-token", UserTokens(public.decode())),
            limits=Limits(max_body_bytes=100_000, max_batch=50),
            metrics=Metrics(),
            slowdown=Slowdown(free=10**9),  # generated requests come with wrong tokens, too
        )
        app = create_app(state)
        add_console(app)
        client = TestClient(app, raise_server_exceptions=False)
        yield Api(world, client, key)
