"""The settings of the vector database; see ``app.settings_groups``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from app.settings_groups import Folder, Group, HttpUrl, HttpUrls

NODE: Final = "chroma-"
"""Names of nodes begin so where there are several; the number of the address follows, from 0."""


class ChromaSettings(Group):
    """The vector database."""

    url: HttpUrl | None = None
    """Address of a Chroma server, such as `http://chroma:8000`; unset means Chroma inside this
    process, then the only one. The server has no authentication: keep it on a private network."""
    urls: HttpUrls | None = None
    """Addresses of several servers, separated by commas, in place of `LETHE_CHROMA__URL`: the
    shards are spread over them. Add new ones at the end, everywhere, then `lethe rebalance`."""
    persist_dir: Folder | None = None
    """The server's own directory: its files are cleaned and probed there. Every Celery worker needs
    it, no API process does. Ignored for Chroma inside this process."""
    node: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")] = "chroma-0"
    """Name of the machine that holds the server's files: what touches them goes to the queue of
    this name, which the workers there read (`lethe worker --node`). With several servers they are
    `chroma-0`, `chroma-1` and so on, in the order of their addresses."""
    n_shards: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Collections over which users are spread; a count. Unset means 16 inside this process and 64
    on a server. Fixed once there are data."""

    @property
    def servers(self) -> dict[str, str]:
        """Return the address of each node's server; none for Chroma inside this process."""
        if self.urls is None:
            return {} if self.url is None else {self.node: self.url}
        urls = self.urls.split(",")
        if len(urls) == 1:
            return {self.node: urls[0]}
        return {f"{NODE}{number}": url for number, url in enumerate(urls)}
