"""The settings of the vector database; see ``app.settings_groups``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from app.settings_groups import Folder, Group, HttpUrl

NODE: Final = "chroma-"
"""Names of nodes begin so where there are several; the number of the address follows, from 0."""
_LEAVING: Final = "-"
_PLACE: Final = r"(-?https?://[^\s/,]+[^\s,]*)?"


class ChromaSettings(Group):
    """The vector database."""

    url: HttpUrl | None = None
    """Address of a Chroma server, such as `http://chroma:8000`; unset means Chroma inside this
    process, then the only one. The server has no authentication: keep it on a private network."""
    urls: Annotated[str, Field(pattern=f"^{_PLACE}(,{_PLACE})*$")] | None = None
    """Addresses of several servers, separated by commas, in place of `LETHE_CHROMA__URL`: the
    shards are spread over them. Add new ones at the end, everywhere, then `lethe rebalance`. A `-`
    before an address: the server is leaving, and `lethe rebalance` empties it. Once it has, leave
    its place in the list empty (`http://a:8000,,http://c:8000`), for nodes are named by place."""
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
        places = self._places()
        return {node: url.removeprefix(_LEAVING) for node, url in places.items() if url}

    @property
    def leaving(self) -> frozenset[str]:
        """Return the nodes whose shards belong on others from now on."""
        places = self._places().items()
        return frozenset(node for node, url in places if url.startswith(_LEAVING))

    def _places(self) -> dict[str, str]:
        urls = (self.urls or "").split(",")
        if len(urls) == 1:
            return {self.node: urls[0]}
        return {f"{NODE}{number}": url for number, url in enumerate(urls)}
