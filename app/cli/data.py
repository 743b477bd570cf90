"""``lethe load``, ``recommend`` and ``forget``: the use cases, here or at a running service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.adapters.datasets.options import ReadOptions, TimeUnit
from app.cli.options import (
    PUBLIC_TOKEN,
    AsJson,
    DataDir,
    Token,
    Url,
    User,
    Users,
    read_users,
    tell,
)
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
    data_dir: DataDir = None,
    url: Url = None,
    token: Token = PUBLIC_TOKEN,
    as_json: AsJson = False,
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
    export      what the export of one user handed out; the catalogue has to be there

    \b
    lethe load csv shop/ --user-column client --value-column stars --time-unit ms
    lethe load csv shop/products.csv.gz --item-column sku --title-column label
    lethe load csv shop/ --url https://lethe.example --token TOKEN

    A line that cannot be read is named and left out, and the exit code is 3; an attribute of an
    item that cannot be read is named and left out alone.
    """  # noqa: D301 - click keeps the lines below a backspace as they are
    from app.cli.loading import load_dataset

    columns = (user_column, item_column, value_column, time_column, title_column)
    at = default_time.replace(tzinfo=UTC) if default_time else None
    options = ReadOptions(encoding, *columns, time_unit=time_unit, default_time=at)
    with _loader(url, token=token, data_dir=data_dir) as loader:
        result = load_dataset(loader, kind=kind, path=path, options=options)
    if as_json:
        tell(asdict(result), "", as_json=True)
    if result.bad:
        raise typer.Exit(_SOME_LINES_REFUSED)


@contextmanager
def _loader(url: str | None, *, token: str, data_dir: Path | None) -> Iterator[Any]:
    """Open what takes a data set in: a running service, or the stores here."""
    if url:
        from app.cli.loading import load_there
        from app.cli.remote import Remote

        with Remote(url, token=token) as service:
            yield partial(load_there, service=service)
    else:
        from app.cli.runtime import open_runtime

        with open_runtime(data_dir) as runtime:
            yield runtime.container.load.load


def recommend(
    user: User = None,
    *,
    users: Users = None,
    n: Annotated[int, typer.Option(min=1, max=100, help="How many items.")] = 10,
    url: Url = None,
    token: Token = PUBLIC_TOKEN,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Recommend, as POST /recommend does.

    \b
    lethe recommend reader-001
    lethe recommend - --json < readers.txt
    """  # noqa: D301 - click keeps the lines below a backspace as they are
    from app.cli.asking import recommended_here, recommended_there

    wanted = read_users(user, users)
    if url:
        lists = recommended_there(wanted, n, url=url, token=token)
    else:
        lists = recommended_here(wanted, n, data_dir=data_dir)
    for found in lists:
        tell(found, _shown(found, is_named=len(wanted) > 1), as_json=as_json)


def _shown(found: dict[str, Any], *, is_named: bool) -> str:
    """Return a list as lines."""
    lines = [f"{found['user']}:"] if is_named else []
    for item in found["items"]:
        because = ", ".join(one["title"] for one in item["because"])
        lines.append(item["title"] + (f"  (because of {because})" if because else ""))
    return "\n".join(lines) if found["items"] else "nothing to recommend; next: lethe load demo"


def forget(  # noqa: PLR0913 - each is an option of the command line
    user: User = None,
    *,
    file: Annotated[
        Path | None, typer.Option(help="CSV of people: user, and what else is known; with --url.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="What became of each line; beside the file if not given.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the certificates of a file.")] = True,
    item: Annotated[list[str] | None, typer.Option(help="Only this item; may repeat.")] = None,
    url: Url = None,
    token: Token = PUBLIC_TOKEN,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget users, or some of their items, and wait until it is done.

    \b
    lethe forget reader-001
    lethe forget - < leavers.txt
    lethe forget --file people.csv --url https://lethe.example --token TOKEN

    Prints a line for each, in their order and without the id.

    The first row of a file names its columns: user, and if wanted requested_at,
    subject_request_id, reason and hold. Receipts and certificates go to a report beside it. Run
    again, it goes on where it was broken off. Several ids of one person are several lines.
    """  # noqa: D301 - click keeps the lines below a backspace as they are
    from app.cli.forgetting import forget_here, forget_there, send_file

    if (user is None) is (file is None) or (file is not None and (item or url is None)):
        told = "give one id, or - for standard input, or --file with --url and without --item"
        raise typer.BadParameter(told)
    if file is not None:
        ends = send_file(file, report, url=url or "", token=token, is_awaited=wait)
        tell(ends, ", ".join(f"{n} {end}" for end, n in ends.items()), as_json=as_json)
        raise typer.Exit(1 if set(ends) - {"completed", "suppressed"} else 0)
    wanted = read_users(user, None)
    items = sorted(item or [])
    if url:
        done = forget_there(wanted, items, url=url, token=token)
    else:
        done = forget_here(wanted, items, data_dir=data_dir)
    n_open = 0
    for one in done:
        tell(one, f"{one['request_id']} {one['status']}", as_json=as_json)
        n_open += one["status"] != "completed"
    if n_open:
        print(f"lethe: {n_open} not completed yet; the sweeper goes on with it", file=sys.stderr)
        raise typer.Exit(1)
