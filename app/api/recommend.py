"""``GET /recommend/{user}``, ``POST /recommend`` and ``POST /recommend/batch``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from pydantic import Field, TypeAdapter, ValidationError
from starlette.datastructures import QueryParams

from app import tracing
from app.api.auth import Reader, ReaderOrUser
from app.api.bodies import Batch, BodyRoute, Handler
from app.api.errors import declared, problem_of
from app.api.openapi import batch_body, lines_of, require_declared
from app.api.recommend_in import RecommendIn, where_of
from app.api.recommended import RecommendationOut
from app.api.state import State, StateDep, require_restored, state_of
from app.domain.errors import AppError, FieldError, InvalidInputError
from app.domain.models import ItemId
from app.domain.recommendation.memory_selection import Strategy
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.query import RecommendQuery
from app.wire.ids import ItemIdIn, UserId
from app.wire.messages import field_errors
from app.wire.schemas import In

router = APIRouter(
    tags=["recommend"], dependencies=[Depends(require_restored)], route_class=BodyRoute
)
_NDJSON: Final = "application/x-ndjson"
_USER: Final = TypeAdapter[str](UserId)


async def _departing() -> AsyncIterator[ExitStack]:
    """Give what is closed once the answer has been sent, or its caller has gone."""
    with ExitStack() as stack:
        yield stack


_Departing = Annotated[ExitStack, Depends(_departing, scope="request")]


class RecommendParameters(In):
    """What is asked for in an address."""

    n: int = Field(default=10, ge=1, le=100, description="Items; 1 to 100.")
    strategy: Strategy = Field(
        default=Strategy.ATTENTION, description="Which memories the LLM is shown."
    )
    exclude: Annotated[list[ItemIdIn], Field(max_length=500)] | None = Field(
        default=None, description="Items not to recommend, up to 500; may be repeated."
    )
    personalise: bool = Field(default=True, description="False: the list of a stranger.")
    explain: bool = Field(default=False, description="Say why; an LLM takes seconds.")
    where: str | None = Field(
        default=None,
        max_length=4_096,
        description="The filter `where` of `POST /recommend`, as JSON.",
    )


class ListRoute(BodyRoute):
    """Declared as every route is; called without FastAPI's own way through what is declared.

    That way, which looks at each parameter and dependency anew, took longer than a list.
    """

    def get_route_handler(self) -> Handler:
        """Return the handler behind the checks."""
        return self.behind_doors(_listed)


async def _listed(request: Request) -> Response:
    """Do what FastAPI does for ``recommend``: its dependencies, its parameters, in a thread."""
    await require_declared(request)
    await require_restored(request)
    user, asked = _read_address(request.path_params, request.query_params)
    departing = request.scope["fastapi_inner_astack"].enter_context(ExitStack())
    return await run_in_threadpool(
        recommend,
        user=user,
        caller=request.state.caller,
        state=state_of(request),
        departing=departing,
        asked=asked,
    )


def _read_address(path: Mapping[str, str], query: QueryParams) -> tuple[str, RecommendParameters]:
    errors: list[Any] = []
    sent = {name: query.getlist(name) if name == "exclude" else query[name] for name in query}
    try:
        user = _USER.validate_python(path["user"])
    except ValidationError as error:
        errors += [{**one, "loc": ("path", "user", *one["loc"])} for one in error.errors()]
    try:
        asked = RecommendParameters.model_validate(sent)
    except ValidationError as error:
        errors += [{**one, "loc": ("query", *one["loc"])} for one in error.errors()]
    if errors:
        raise RequestValidationError(errors)
    return user, asked


def recommend(
    user: Annotated[UserId, Path()],
    caller: ReaderOrUser,
    state: StateDep,
    departing: _Departing,
    asked: Annotated[RecommendParameters, Query()],
) -> Response:
    """Recommend items from the user's own memory.

    Someone unknown, erased, restricted or objecting gets the list of a stranger. `exclude` may
    be repeated; `strategy` says which memories are shown to the LLM. `explain` gives the first
    items a reason: from what they share with memories, or by the LLM, in a second call that
    changes no order and may take seconds; where that fails, the answer is degraded.
    """
    caller.require_user(user)
    query = RecommendQuery(
        pseudonym=state.container.identity.pseudonym(user),
        n=asked.n,
        strategy=asked.strategy,
        exclude=frozenset(ItemId(item_id) for item_id in asked.exclude or ()),
        personalise=asked.personalise,
        explain=asked.explain,
        where=where_of(asked.where),
    )
    return _sent(RecommendationOut.from_domain(_answer(query, state, departing), user=user))


router.add_api_route(
    "/recommend/{user:path}",
    recommend,
    methods=["GET"],
    response_model=RecommendationOut,
    route_class_override=ListRoute,
)


@router.post("/recommend", response_model=RecommendationOut)
def recommend_by_body(
    body: RecommendIn, caller: ReaderOrUser, state: StateDep, departing: _Departing
) -> Response:
    """Recommend items to a user, to a visitor, or to nobody in particular.

    No id stands in the address. With `user` the list is made from the user's memory; `items` and
    `query` say what is of interest at the moment, and are not stored. Without any of them it is
    the list of what is popular. Every condition holds for every item, pinned ones included. An
    empty list is no error: `matched` and `emptied_by` tell what left nothing. `cursor` asks for
    the next page of the same request; it ends after half an hour, or as soon as anything of the
    user is erased (409: ask for the first page again).
    """
    if body.user is not None:
        caller.require_user(body.user)
    answer = _answer(body.to_domain(state.container.identity), state, departing)
    return _sent(RecommendationOut.from_domain(answer, user=body.user, fields=body.fields))


@router.post(
    "/recommend/batch",
    response_class=StreamingResponse,
    openapi_extra=batch_body(RecommendIn),
    responses={200: lines_of("RecommendationOut"), **declared(422)},
)
def recommend_many(
    _caller: Reader,
    entries: Batch,
    state: StateDep,
    *,
    distinct: Annotated[
        bool, Query(description="No item twice in all the answers: the lists of one page.")
    ] = False,
) -> StreamingResponse:
    """Answer many requests of `POST /recommend`, such as for a nightly mail.

    Answers come as they are made, one a line. An entry that cannot be answered has a problem in
    its line; entries of a wrong form refuse the whole batch.
    """
    bodies = _read(entries)
    return StreamingResponse(_lines(bodies, state, distinct=distinct), media_type=_NDJSON)


def _read(entries: Sequence[object]) -> list[RecommendIn]:
    errors: list[FieldError] = []
    bodies: list[RecommendIn] = []
    for index, entry in enumerate(entries):
        try:
            bodies.append(RecommendIn.model_validate(entry))
        except ValidationError as error:
            details: Any = error.errors(include_url=False)
            errors.extend(field_errors(details, at=f"requests.{index}"))
    if errors:
        raise InvalidInputError(*errors)
    return bodies


def _lines(bodies: Sequence[RecommendIn], state: State, *, distinct: bool) -> Iterator[bytes]:
    """Yield the answers; each counts as sent once the next is asked for."""
    given: set[ItemId] = set()
    for body in bodies:
        query = body.to_domain(state.container.identity)
        if distinct:
            query = replace(query, exclude=frozenset(query.exclude) | given)
        with ExitStack() as departing:
            try:
                answer = _answer(query, state, departing)
            except AppError as error:
                yield bytes(problem_of(error).body) + b"\n"
                continue
            given |= {one.item.item_id for one in answer.items}
            told = RecommendationOut.from_domain(answer, user=body.user, fields=body.fields)
            yield told.model_dump_json().encode() + b"\n"


def _sent(told: RecommendationOut) -> Response:
    """Return the answer in bytes: FastAPI would look at it once more in another thread."""
    return Response(told.model_dump_json(), media_type="application/json")


def _answer(query: RecommendQuery, state: State, departing: ExitStack) -> Recommendation:
    answer = state.container.recommend.recommend(query, departing=departing)
    state.metrics.recommendation(
        answer.provenance, scenario=query.scenario, stalled=answer.stalled()
    )
    tracing.note({f"lethe.ms.{stage}": took for stage, took in answer.timings_ms.items()})
    return answer
