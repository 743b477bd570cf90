"""The shapes in which a list is asked for."""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import AfterValidator, Field

from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import ItemId, Kind
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.memory_selection import Strategy
from app.services.recommendation.query import EVERY_KIND, Boost, Pin, RecommendQuery
from app.wire.ids import ItemIdIn, UserId
from app.wire.scenarios import WHERE, BoostIn
from app.wire.schemas import In

MAX_N: Final = 100
WhereParameter = Annotated[
    str | None,
    Query(max_length=4_096, description="The filter `where` of `POST /recommend`, as JSON."),
]
ExcludeParameter = Annotated[
    list[ItemIdIn] | None, Query(max_length=500, description="Items not to list; may be repeated.")
]
NumberParameter = Annotated[int, Query(ge=1, le=MAX_N, description="Items; 1 to 100.")]


def where_of(text: str | None) -> object:
    """Read a filter that came as a query parameter.

    Raises:
        InvalidInputError: it is no JSON.
    """
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInputError(FieldError("where", "is not JSON")) from None


def _known_field(name: str) -> str:
    if name in {"title", "description", "attributes"} or name.startswith("attributes."):
        return name
    message = "must be title, description, attributes or attributes.NAME"
    raise ValueError(message)


class PinIn(In):
    """An item that has a place of its own."""

    item_id: ItemIdIn
    position: int = Field(ge=1, le=MAX_N, description="Its place, from 1.")


class RecommendIn(In):
    """One list. Without `user` it is that of somebody who is not known."""

    user: UserId | None = Field(default=None, description="Whose list; null for a visitor's.")
    items: list[ItemIdIn] = Field(
        default=[],
        max_length=100,
        description="What a visitor touched in this session, newest first; used, never stored.",
    )
    query: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description="What is looked for, in plain words; used, never stored.",
    )
    n: int = Field(default=10, ge=1, le=MAX_N, description="Items; 1 to 100.")
    where: dict[str, object] | None = Field(default=None, description=WHERE)
    exclude: list[ItemIdIn] = Field(
        default=[], max_length=1_000, description="Items that are not wanted."
    )
    shown: list[ItemIdIn] = Field(
        default=[],
        max_length=1_000,
        description="Items that were shown lately; they come later. Used, never stored.",
    )
    seen: Literal["exclude", "include"] | list[Kind] | None = Field(
        default=None,
        description="Whether items that the user has touched are left out: `exclude`, `include`, "
        "or the kinds of interactions that hide an item.",
    )
    cursor: str | None = Field(
        default=None,
        max_length=131_072,
        description="Of the answer before: gives the next page, without a repeat.",
    )
    diversity: float | None = Field(
        default=None, ge=0, le=1, description="0 for most relevant, 1 for most varied."
    )
    boost: list[BoostIn] = Field(
        default=[], max_length=16, description="Filters with factors; up to 16."
    )
    pin: list[PinIn] = Field(default=[], max_length=16, description="Items with a place; up to 16.")
    fill: bool | None = Field(
        default=None,
        description="False: rather fewer than `n` items than merely popular ones.",
    )
    scenario: str | None = Field(
        default=None,
        pattern="^[a-z0-9-]{1,64}$",
        description="Name of a preset of the installation; its `where` must hold, too.",
    )
    fields: list[Annotated[str, Field(max_length=140), AfterValidator(_known_field)]] = Field(
        default=[],
        max_length=32,
        description="What to tell of each item: `title`, `description`, `attributes` or "
        "`attributes.NAME`.",
    )
    strategy: Strategy = Field(
        default=Strategy.ATTENTION, description="Which memories the LLM is shown."
    )
    explain: bool = Field(default=False, description="Say why; an LLM takes seconds.")
    personalise: bool = Field(default=True, description="False: the list of a stranger.")

    def to_domain(self, identity: Identity) -> RecommendQuery:
        """Return the query; the user's id goes no further."""
        return RecommendQuery(
            pseudonym=None if self.user is None else identity.pseudonym(self.user),
            items=[ItemId(one) for one in self.items],
            text=self.query,
            n=self.n,
            where=self.where,
            exclude=frozenset(map(ItemId, self.exclude)),
            shown=frozenset(map(ItemId, self.shown)),
            seen=self._seen(),
            cursor=self.cursor,
            diversity=self.diversity,
            boost=[Boost(one.where, one.by) for one in self.boost],
            pin=[Pin(ItemId(one.item_id), one.position) for one in self.pin],
            fill=self.fill,
            scenario=self.scenario,
            strategy=self.strategy,
            explain=self.explain,
            personalise=self.personalise,
        )

    def _seen(self) -> frozenset[Kind] | None:
        match self.seen:
            case None:
                return None
            case "exclude":
                return EVERY_KIND
            case "include":
                return frozenset()
            case _:
                return frozenset(self.seen)
