"""``lethe load``, ``recommend`` and ``forget``: the use cases without HTTP."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from app.adapters.datasets.options import ReadOptions, TimeUnit
from app.ports.dataset import DatasetKind

_SOME_LINES_REFUSED: Final = 3
_TIMES: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
_Column = Annotated[str | None, typer.Option(help="Its name, where it is not a usual one.")]


def load(  # noqa: PLR0913 - each is an option of the command line
    kind: Annotated[DatasetKind, typer.Argument(help="The layout of the files; see above.")],
    path: Annotated[
        Path | None, typer.Argument(help="File or folder, also compressed as .gz; none for demo.")
    ] = None,
    *,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of the files, such as cp1252; found out if not given.")
    ] = None,
    user_column: _Column = None,
    item_column: _Column = None,
    value_column: _Column = None,
    time_column: _Column = None,
    title_column: _Column = None,
    time_unit: Annotated[
        TimeUnit, typer.Option(help="Of times that are numbers since 1970.")
    ] = TimeUnit.AUTO,
    default_time: Annotated[
        datetime | None,
        typer.Option(help="UTC time of everything, for data without times.", formats=_TIMES),
    ] = None,
) -> None:
    """Load a data set; broken off, it goes on where it was; repeated, nothing changes.

    \b
    demo        the books that ship with Lethe, and simulated readers
    csv         items.csv and interactions.csv in a folder, or one of them;
                the first row names the columns
    ndjson      items.ndjson and interactions.ndjson, or one of them, as the API takes them
    movielens   movies.csv and ratings.csv, or movies.dat and ratings.dat
    ml-100k     u.item and u.data
    recbole     NAME.inter and NAME.item

    \b
    lethe load csv shop/ --user-column client --value-column stars --time-unit ms
    lethe load csv shop/products.csv.gz --item-column sku --title-column label

    A line that cannot be read is named and left out, and the exit code is 3; an attribute of an
    item that cannot be read is named and left out alone.
    """  # noqa: D301 - click keeps the lines below a backspace as they are
    from app.cli.runtime import load_dataset, open_runtime

    options = ReadOptions(
        encoding=encoding,
        user_column=user_column,
        item_column=item_column,
        value_column=value_column,
        time_column=time_column,
        title_column=title_column,
        time_unit=time_unit,
        default_time=default_time.replace(tzinfo=UTC) if default_time else None,
    )
    with open_runtime(data_dir) as runtime:
        result = load_dataset(runtime, kind=kind, path=path, options=options)
    if result.bad:
        raise typer.Exit(_SOME_LINES_REFUSED)


def recommend(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    *,
    n: Annotated[int, typer.Option(min=1, max=100, help="How many items.")] = 10,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Recommend, as GET /recommend does."""
    from app.api.recommended import RecommendationOut
    from app.cli.runtime import open_runtime
    from app.services.recommendation.query import RecommendQuery
    from app.wire.ids import user_id

    with open_runtime(data_dir) as runtime:
        container = runtime.container
        container.feed.start()
        query = RecommendQuery(pseudonym=container.identity.pseudonym(user_id(user)), n=n)
        answer = container.recommend.recommend(query)
        print(RecommendationOut.from_domain(answer, user=user).model_dump_json(indent=2))
        container.feed.stop()


def forget(
    user: Annotated[
        str | None, typer.Argument(help="The user's id; - reads ids from standard input.")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(help="CSV of people: user, and what else is known; with --url.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="What became of each line; beside the file if not given.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the certificates of a file.")] = True,
    item: Annotated[list[str] | None, typer.Option(help="Only this item; may repeat.")] = None,
    url: Annotated[
        str | None, typer.Option(envvar="LETHE_URL", help="A running service to ask.")
    ] = None,
    token: Annotated[
        str, typer.Option(envvar="LETHE_TOKEN", help="Service token for --url.")
    ] = "dev-service-token",  # noqa: S107 - public; taken on the loopback interface only
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Forget users, or some of their items, and wait until it is done.

    \b
    lethe forget reader-001
    lethe forget - < leavers.txt
    lethe forget --file people.csv --url https://lethe.example --token TOKEN

    Prints a line of JSON for each, in their order and without the id.

    The first row of a file names its columns: user, and if wanted requested_at,
    subject_request_id, reason and hold. Receipts and certificates go to a report beside it. Run
    again, it goes on where it was broken off. Several ids of one person are several lines.
    """  # noqa: D301 - click keeps the lines below a backspace as they are
    from app.cli.forgetting import forget_here, forget_there, read_users, send_file

    if (user is None) is (file is None) or (file is not None and (item or url is None)):
        told = "give one id, or - for standard input, or --file with --url and without --item"
        raise typer.BadParameter(told)
    if file is not None:
        raise typer.Exit(send_file(file, report, url=url or "", token=token, is_awaited=wait))
    wanted = read_users(user or "-")
    items = sorted(item or [])
    done = forget_there(wanted, items, url=url, token=token) if url else None
    n_open = 0
    for one in done if done is not None else forget_here(wanted, items, data_dir=data_dir):
        print(json.dumps(one), flush=True)
        n_open += one["status"] != "completed"
    if n_open:
        print(f"lethe: {n_open} not completed yet; the sweeper goes on with it", file=sys.stderr)
        raise typer.Exit(1)
