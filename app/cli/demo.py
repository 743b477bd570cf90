"""``lethe demo``: recommend, dislike, forget a topic, forget everything, verify; to look at."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any, Final
from uuid import uuid4

import typer

from app.cli.options import LOCAL, PUBLIC_TOKEN, AsJson, Token

Json = dict[str, Any]
_READERS: Final = 600
_TOPICS: Final = ("Sherlock Holmes", "Oz", "Dracula", "Peter Pan", "Jane Austen", "Jules Verne")


def demo(
    user: Annotated[
        str | None, typer.Argument(help="Who; a reader of the demo set if not given.")
    ] = None,
    *,
    url: Annotated[str, typer.Option(envvar="LETHE_URL", help="A running service.")] = LOCAL,
    token: Token = PUBLIC_TOKEN,
    key: Annotated[
        str | None, typer.Option(help="The service's public key (lethe keys show).")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="What to forget first, in words.")] = None,
    pause_s: Annotated[float, typer.Option(min=0, help="Seconds between the steps.")] = 1.5,
    as_json: AsJson = False,
) -> None:
    """Walk through the life of a list with a running service. THE USER IS REALLY FORGOTTEN."""
    from app.cli.demo_told import Told
    from app.cli.remote import Remote

    told = Told(as_json=as_json)
    with Remote(url, token=token) as service:
        for number, (name, found) in enumerate(walk(service, user=user, topic=topic)):
            if number and not as_json:
                time.sleep(pause_s)
            told.step(name, found)
            if name == "certificate":
                told.step("verify", verified(found, key=key or _own_key(url)))


def walk(service: Any, *, user: str | None, topic: str | None) -> Iterator[tuple[str, Json]]:  # noqa: ANN401 - Remote, imported late
    """Yield each step of the demo with what the service answered, in order."""
    who = user or _somebody(service)
    first = _listed(service, who)
    yield "recommend", first | {"user": who}
    if first["items"]:
        disliked = first["items"][0]
        service.post("/interactions", [_dislike(who, disliked["item_id"])])
        yield "dislike", _listed(service, who) | {"disliked": disliked["title"]}
    words = topic or _topic(service, who)
    if words:
        scope = {"kind": "topic", "text": words}
        would = service.post("/forget/preview", {"user": who, "scope": scope})
        service.forget(who, scope)
        yield "topic", _listed(service, who) | {"topic": words, "would": would}
    accepted = service.forget(who, {"kind": "all"})
    yield "forget", _listed(service, who) | {"accepted": accepted}
    done = service.finished(accepted["request_id"])
    yield "certificate", done | {"receipt": accepted["receipt"], "user": who}


def _listed(service: Any, user: str) -> Json:  # noqa: ANN401 - the same
    found: Json = service.post("/recommend", {"user": user, "n": 5})
    return found


def _somebody(service: Any) -> str:  # noqa: ANN401 - the same
    """Return a reader of the demo set who has not been forgotten by an earlier demo."""
    readers = (f"reader-{number:03d}" for number in range(1, _READERS + 1))
    return next((one for one in readers if _listed(service, one)["personalised"]), "reader-001")


def _topic(service: Any, user: str) -> str | None:  # noqa: ANN401 - the same
    """Return the first of some topics that the user has memories of."""
    for words in _TOPICS:
        body = {"user": user, "scope": {"kind": "topic", "text": words}}
        if service.post("/forget/preview", body)["n_memories"]:
            return words
    return None


def _dislike(user: str, item_id: str) -> Json:
    return {
        "event_id": uuid4().hex,
        "user": user,
        "item_id": item_id,
        "kind": "dislike",
        "occurred_at": datetime.now(UTC).isoformat(),
    }


def _own_key(url: str) -> str | None:
    """Return the key of the service on this machine, if its directory is the usual one."""
    from app.bootstrap.adapters import signer_of
    from app.settings import load_settings

    settings = load_settings()
    keys_dir = settings.audit.keys_dir or settings.data_dir / "keys"
    if url != LOCAL or not keys_dir.is_dir():
        return None
    return signer_of(settings).current().key.encode()


def verified(done: Json, *, key: str | None) -> Json:
    """Check the certificate offline, and leave it with the receipt where it can be looked at."""
    from app.data import verify_lethe

    certificate, receipt = done["certificate"], done["receipt"]
    data = verify_lethe.canonical(certificate)
    folder = Path(mkdtemp(prefix="lethe-demo-"))
    (folder / "certificate.json").write_bytes(data)
    (folder / "receipt.json").write_text(json.dumps(receipt))
    pinned = [verify_lethe.parse_key(key)] if key else []
    report = verify_lethe.verify_document(
        data, pinned=pinned, subject=done["user"], salt=receipt["salt"]
    )
    return {
        "lines": report.lines,
        "is_whole": not report.n_wrong,
        "is_verified": not report.n_wrong and bool(pinned),
        "file": str(folder / "certificate.json"),
    }
