"""``lethe verify``, ``audit verify``, ``keys`` and ``probe``: what auditors and operators ask."""

from __future__ import annotations

import json
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.cli.options import (
    LOCAL,
    PUBLIC_TOKEN,
    AsJson,
    DataDir,
    Token,
    Url,
    Users,
    read_users,
    tell,
)

audit: Final = typer.Typer(help="The audit log.", no_args_is_help=True)
keys: Final = typer.Typer(help="The key that signs.", no_args_is_help=True)


def verify(context: typer.Context) -> None:
    """Check documents offline; exit code 0 whole, 1 wrong, 2 nothing could be concluded."""
    from app.data import verify_lethe

    raise typer.Exit(verify_lethe.main(context.args))


@audit.command("verify")
def audit_verify(
    *, url: Url = None, token: Token = "", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Recompute every leaf, node and signature of the log, and compare it with the rows.

    With --url the service does it, for a token of the role admin.
    """
    log, rows = _checked_there(url, token) if url else _checked_here(data_dir)
    problems = [*log.pop("problems"), *rows.pop("problems")]
    for problem in () if as_json else problems:
        print(problem, file=sys.stderr)
    tell(
        log | rows | {"problems": problems},
        f"{log['n_leaves']} leaves, {log['n_checkpoints']} checkpoints, root {log['root']}\n"
        f"{rows['n_requests']} requests, {rows['n_moves']} moves, "
        f"{rows['n_contradicted']} requests contradict their leaves",
        as_json=as_json,
    )
    if not (log["is_whole"] and rows["is_consistent"]):
        raise typer.Exit(1)


def _checked_here(data_dir: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    from app.api.audit_proofs import LogReportOut, ReconciliationOut
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime:
        log = LogReportOut.model_validate(runtime.container.audit_check.check())
        rows = ReconciliationOut.model_validate(runtime.container.reconcile.check())
    return log.model_dump(mode="json"), rows.model_dump(mode="json")


def _checked_there(url: str, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    from app.cli.remote import Remote

    with Remote(url, token=token) as service:
        return service.post("/admin/audit/check", {}), service.post("/admin/audit/reconcile", {})


@audit.command("recover")
def audit_recover(
    export: Annotated[
        Path,
        typer.Argument(
            help="An export of the log: GET /admin/audit/export.", exists=True, dir_okay=False
        ),
    ],
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring back leaves that a restored database lacks; before the service is started again."""
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime, export.open("rb") as lines:
        done = runtime.container.succession.recover(lines)
    tell(
        {"first": done.first, "size": done.size},
        f"leaves {done.first} to {done.size - 1} are back, under the checkpoint of {done.size}",
        as_json=as_json,
    )


@audit.command("drill")
def audit_drill(
    file: Annotated[Path, typer.Argument(help="Written: how the planted person lies on disk.")],
    *,
    url: Annotated[str, typer.Option(envvar="LETHE_URL", help="A running service.")] = LOCAL,
    token: Token = PUBLIC_TOKEN,
    admin_token: Annotated[
        str, typer.Option(envvar="LETHE_ADMIN_TOKEN", help="An administrator's token.")
    ] = "dev-admin-token",  # noqa: S107 - public; taken on the loopback interface only
    as_json: AsJson = False,
) -> None:
    """Plant somebody made up, whom auditors look for in the files with tools of their own.

    Prints the id. FILE belongs outside of the data: it holds what is searched for.
    """
    from app.cli.remote import Remote

    user = f"lethe-drill-{secrets.token_hex(8)}"
    notes = [
        {
            "event_id": secrets.token_hex(8),
            "user": user,
            "kind": "note",
            "text": f"{secrets.token_hex(16)} likes quiet books about lighthouses.",
            "occurred_at": datetime.now(UTC).isoformat(),
        }
        for _ in range(3)
    ]
    with Remote(url, token=token) as service, Remote(url, token=admin_token) as admin:
        service.post("/interactions", notes)
        found = admin.post("/admin/drill", {"user": user})
    file.write_text(json.dumps(found, indent=1), encoding="utf-8")
    tell({"user": user}, user, as_json=as_json)


@keys.command("show")
def keys_show(*, url: Url = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the public key, to be given to those who verify; beside a running service, too.

    With --url it is what the service says of itself: compare it with what its operator says.
    """
    if url:
        from app.cli.remote import Remote

        with Remote(url, token="") as service:
            key = str(service.get("/.well-known/lethe.json")["key"])
    else:
        key = _own_key(data_dir)
    tell({"key": key}, key, as_json=as_json)


def _own_key(data_dir: Path | None) -> str:
    from app.bootstrap.adapters import signer_of
    from app.domain.errors import NotFoundError
    from app.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    directory = settings.audit.keys_dir or settings.data_dir / "keys"
    if not any(directory.glob("*.pem")):
        raise NotFoundError(f"there is no signing key in {directory}; one is made by: lethe serve")
    return signer_of(settings).current().key.encode()


@keys.command("rotate")
def keys_rotate(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make a new signing key that the old one vouches for, and destroy the old one."""
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime:
        key = runtime.container.checkpoints.rotate_key()
    tell({"key": key}, key, as_json=as_json)


def probe(
    user: Annotated[
        str | None,
        typer.Argument(help="Whom to search for; - reads ids from standard input; none: a canary."),
    ] = None,
    *,
    users: Users = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Search the bytes of every store; exit code 1 unless it proves that nothing is left.

    With several ids all are searched for at once, and told in their order.
    """
    from app.cli.runtime import open_runtime
    from app.wire.ids import user_id

    is_canary = user is None and users is None
    ids = [""] if is_canary else [user_id(one) for one in read_users(user, users)]
    with open_runtime(data_dir) as runtime:
        container = runtime.container
        search = container.search
        found = search.search(
            [search.everything_of(container.identity.pseudonym(one)).needles for one in ids]
        )
    fields = ("store", "files", "bytes_read", "patterns", "residue", "control_found")
    for reports in found:
        stores = [{name: getattr(one, name) for name in fields} for one in reports]
        tell(stores, "\n".join(_told(one) for one in reports), as_json=as_json)
    if not all(one.is_clean for reports in found for one in reports):
        raise typer.Exit(1)


def _told(report: Any) -> str:  # noqa: ANN401 - ProbeReport, imported late
    control = "control found" if report.control_found else "CONTROL NOT FOUND"
    head = (
        f"{report.store}: {report.files} files, {report.bytes_read} bytes, {report.patterns} "
        f"patterns, {report.residue} found, {control}, {report.seconds:.2f} s"
    )
    return "\n".join([head, *(f"  {o.kind}: {o.needles} in {o.file}" for o in report.findings)])
