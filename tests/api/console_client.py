"""A browser without scripts: signs in, keeps cookies, reads and sends forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

import httpx2
from fastapi.testclient import TestClient

from tests.api.conftest import Api

LOOPBACK: Final = "http://127.0.0.1"
ADMIN_TOKEN: Final = "an-admin-token"
SIGN_IN: Final = "/admin/console/sign-in"
VOID: Final = frozenset({"input", "img", "link", "meta", "br"})
Attributes = dict[str, str | None]


@contextmanager
def visiting(api: Api, *, base_url: str = LOOPBACK) -> Iterator[TestClient]:
    """Give a browser that is not signed in."""
    with TestClient(
        api.client.app, base_url=base_url, follow_redirects=False, raise_server_exceptions=False
    ) as client:
        yield client


@contextmanager
def administering(api: Api) -> Iterator[TestClient]:
    """Give a browser that is signed in."""
    with visiting(api) as client:
        assert sign_in(client).status_code == 303
        yield client


def sign_in(client: TestClient, token: str = ADMIN_TOKEN, **changes: str) -> httpx2.Response:
    """Send the form of the page for signing in."""
    fields = fields_of(client.get(SIGN_IN).text) | {"token": token} | changes
    return client.post(SIGN_IN, data=fields)


def send(client: TestClient, path: str, **changes: str) -> httpx2.Response:
    """Send the form of the page at ``path`` to it."""
    return client.post(path, data=fields_of(client.get(path).text) | changes)


def fields_of(page: str) -> dict[str, str]:
    """Return the hidden fields of the page's last form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return dict(found)


@dataclass
class Page(HTMLParser):
    """What can be said of a page without a browser."""

    text: str
    elements: list[tuple[str, Attributes]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[Attributes]:
        """Return the attributes of every element of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def says(self) -> str:
        """Return its text, white space made one."""
        return " ".join(" ".join(self.words).split())
