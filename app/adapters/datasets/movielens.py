"""MovieLens as GroupLens publishes it, in each of its three layouts.

Source: F. Maxwell Harper and Joseph A. Konstan, The MovieLens Datasets: History and Context,
ACM TiiS 5(4), 2015; the layout of the files is that of the README of each data set.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Final

from app.adapters.datasets.encodings import encoding_of
from app.adapters.datasets.items import lenient_item
from app.adapters.datasets.lines import file_size, refuse, stored_as
from app.adapters.datasets.options import NOTHING_TOLD, ReadOptions
from app.adapters.datasets.rows import Events, RowDataset
from app.adapters.datasets.table import Row, Table, open_csv
from app.ports.dataset import ItemRecord, Position

GENRES: Final = (
    None,  # "unknown": says nothing about the film
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller"),
    *("War", "Western"),
)
_FLAGS: Final = tuple(f"genre {number}" for number in range(len(GENRES)))
_NO_GENRES: Final = "(no genres listed)"
_FILMS: Final = ("movieId", "title", "genres")
_RATINGS: Final = ("userId", "movieId", "rating", "timestamp")
_ESCAPED: Final = re.compile(r"\\([89A-F][0-9A-F])")
"""How some copies of u.item, made pure ASCII on their way, write a Latin-1 character."""
_YEAR: Final = re.compile(r"\((\d{4})\)\s*$")


class MovieLensDataset(RowDataset):
    """The folder ml-100k: u.item and u.data; u.user is never opened.

    Args:
        path: the folder.
        now: the present, aware UTC; no rating may be younger.
        options: the encoding of u.item, if it is neither UTF-8 nor Latin-1.

    Raises:
        InvalidInputError: u.item or u.data is missing or empty.
    """

    def __init__(self, path: Path, *, now: datetime, options: ReadOptions = NOTHING_TOLD) -> None:
        if not path.is_dir():
            raise refuse("must be the folder with u.data and u.item")
        item, data = _files(path, "u.item", "u.data")
        films = Table(
            item,
            ("movieId", "title", "release date", "video date", "address", *_FLAGS),
            "|",
            encoding_of(item, told=options.encoding),
        )
        remark = (
            "u.user is not loaded: Lethe keeps no age, gender, occupation or address of anyone."
        )
        super().__init__(
            (films, _flagged_film),
            (Table(data, _RATINGS, "\t"), _ratings(now, prefix="ml-100k")),
            remarks=(remark,) if (path / "u.user").exists() else (),
        )


class MovieLensTables(RowDataset):
    """A folder of the later sets: movies.csv and ratings.csv, or movies.dat and ratings.dat.

    The former are ml-latest, ml-20m, ml-25m and ml-32m, the latter ml-1m and ml-10m. Tags, links
    and users are never opened.

    Args:
        path: the folder.
        now: the present, aware UTC; no rating may be younger.
        options: the encoding, if it is neither UTF-8 nor Latin-1.

    Raises:
        InvalidInputError: a file is missing or empty, or has other columns.
    """

    def __init__(self, path: Path, *, now: datetime, options: ReadOptions = NOTHING_TOLD) -> None:
        if not path.is_dir():
            raise refuse("must be the folder with movies.csv and ratings.csv, or the two as .dat")
        if stored_as(path / "u.data").exists():
            raise refuse("is the layout of: lethe load ml-100k")
        if stored_as(path / "movies.dat").exists():
            movies, ratings = _files(path, "movies.dat", "ratings.dat")
            encoding = encoding_of(movies, told=options.encoding)
            films = Table(movies, _FILMS, "::", encoding)
            rated = Table(ratings, _RATINGS, "::")
        else:
            movies, ratings = _files(path, "movies.csv", "ratings.csv")
            films = _with(movies, _FILMS, encoding=encoding_of(movies, told=options.encoding))
            rated = _with(ratings, _RATINGS, encoding="utf-8")
        super().__init__((films, _listed_film), (rated, _ratings(now, prefix="movielens")))


def _files(path: Path, *names: str) -> list[Path]:
    files = [stored_as(path / name) for name in names]
    for file in files:
        file_size(file)
    return files


def _with(path: Path, columns: tuple[str, ...], *, encoding: str) -> Table:
    table = open_csv(path, encoding=encoding)
    if not set(columns) <= set(table.columns):
        raise refuse(f"{path.name}: the first row must name {', '.join(columns)}", field="header")
    return table


def _ratings(now: datetime, *, prefix: str) -> Events:
    """Return what a row of ratings says: a user rates a film once."""
    return Events(now, prefix, *_RATINGS, is_once=True)


def _flagged_film(row: Row, position: Position) -> ItemRecord:
    title = _ESCAPED.sub(lambda match: chr(int(match[1], base=16)), row["title"])
    flags = [row[name] for name in _FLAGS]
    attributes: dict[str, object] = {}
    left_out: tuple[str, ...] = ()
    if set(flags) <= {"0", "1"}:
        pairs = zip(GENRES, flags, strict=True)
        attributes["genres"] = [name for name, flag in pairs if name and flag == "1"]
    else:
        left_out = ("attributes.genres: every genre must be 0 or 1",)
    if year := _YEAR.search(title):
        attributes["year"] = int(year[1])
    elif row["release date"][-4:].isdecimal():
        attributes["year"] = int(row["release date"][-4:])
    wire = {"item_id": row["movieId"], "title": title, "attributes": attributes}
    return lenient_item(wire, position=position, left_out=left_out)


def _listed_film(row: Row, position: Position) -> ItemRecord:
    genres = row["genres"]
    attributes: dict[str, object] = {
        "genres": genres.split("|") if genres and genres != _NO_GENRES else []
    }
    if year := _YEAR.search(row["title"]):
        attributes["year"] = int(year[1])
    wire = {"item_id": row["movieId"], "title": row["title"], "attributes": attributes}
    return lenient_item(wire, position=position)
