"""Posts to addresses outside, and to no address inside unless that is allowed."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import Final

import httpx

from app.domain.errors import DependencyUnavailableError

_TIMEOUT_S: Final = 5.0


class HttpWebhookSender:
    """Looks a name up once, checks every address it has, and connects to the one it checked.

    Otherwise a name that says something public when it is checked, and something private when it
    is connected to, would have the service call its own network.

    Args:
        allows_private: whether private, loopback and link-local addresses are called, too.
        transport: how it is reached, if not over the network.
        look_up: a name's addresses.
    """

    def __init__(
        self,
        *,
        allows_private: bool,
        transport: httpx.BaseTransport | None = None,
        look_up: Callable[[str, int], list[str]] | None = None,
    ) -> None:
        self._allows_private = allows_private
        self._look_up = look_up or _look_up
        # No proxy, which would look the name up again, and no redirect, which leads elsewhere.
        self._http = httpx.Client(
            timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False, transport=transport
        )

    def close(self) -> None:
        self._http.close()

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        target = httpx.URL(url)
        address = self._address(target)
        request = self._http.build_request(
            "POST",
            target.copy_with(host=address),
            content=body,
            headers={**headers, "Host": target.netloc.decode()},
            extensions={"sni_hostname": target.host},
        )
        try:
            answer = self._http.send(request, stream=True)
            answer.close()
        except httpx.HTTPError as error:
            raise DependencyUnavailableError("the webhook's receiver does not answer") from error
        if not answer.is_success:
            raise DependencyUnavailableError(f"the webhook's receiver says {answer.status_code}")

    def _address(self, url: httpx.URL) -> str:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            addresses = self._look_up(url.host, port)
        except OSError as error:
            raise DependencyUnavailableError("the webhook's host has no address") from error
        if not self._allows_private and not all(map(_is_public, addresses)):
            raise DependencyUnavailableError("the webhook's host has a private address")
        return addresses[0]


def _look_up(host: str, port: int) -> list[str]:
    return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    return (mapped or parsed).is_global and not parsed.is_multicast
