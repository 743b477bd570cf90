"""``lethe verify``, ``audit verify``, ``keys`` and ``probe``: what auditors and operators ask."""

from __future__ import annotations

import json
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

DataDir = Annotated[Path | None, typer.Option(help="Directory of all files.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of sentences.")]
audit: Final = typer.Typer(help="The audit log.", no_args_is_help=True)
keys: Final = typer.Typer(help="The key that signs.", no_args_is_help=True)


def verify(context: typer.Context) -> None:
    """Check documents offline; exit code 0 whole, 1 wrong, 2 nothing could be concluded."""
    from app.data import verify_lethe

    raise typer.Exit(verify_lethe.main(context.args))


@audit.command("verify")
def audit_verify(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Recompute every leaf, node and signature of the log, and compare it with the rows."""
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime:
        report = runtime.container.audit_check.check()
        compared = runtime.container.reconcile.check()
    problems = [str(one) for one in (*report.problems, *compared.problems)]
    is_fine = report.is_whole and compared.is_consistent
    if as_json:
        found = {"is_whole": report.is_whole, "is_consistent": compared.is_consistent}
        counts = {"leaves": report.n_leaves, "checkpoints": report.n_checkpoints}
        print(json.dumps(found | counts | {"root": report.root.hex(), "problems": problems}))
        raise typer.Exit(0 if is_fine else 1)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{report.n_leaves} leaves, {report.n_checkpoints} checkpoints, root {report.root.hex()}")
    print(
        f"{compared.n_requests} requests, {compared.n_moves} moves, "
        f"{compared.n_contradicted} requests contradict their leaves"
    )
    if not is_fine:
        raise typer.Exit(1)


@audit.command("recover")
def audit_recover(
    export: Annotated[Path, typer.Argument(help="An export of the log: GET /admin/audit/export.")],
    *,
    data_dir: DataDir = None,
) -> None:
    """Bring back leaves that a restored database lacks; before the service is started again."""
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime, export.open("rb") as lines:
        done = runtime.container.succession.recover(lines)
    print(f"leaves {done.first} to {done.size - 1} are back, under the checkpoint of {done.size}")


@audit.command("drill")
def audit_drill(
    file: Annotated[Path, typer.Argument(help="Written: how the planted person lies on disk.")],
    *,
    url: Annotated[
        str, typer.Option(envvar="LETHE_URL", help="A running service.")
    ] = "http://127.0.0.1:8000",
    token: Annotated[
        str, typer.Option(envvar="LETHE_TOKEN", help="A service token.")
    ] = "dev-service-token",  # noqa: S107 - public; taken on the loopback interface only
    admin_token: Annotated[
        str, typer.Option(envvar="LETHE_ADMIN_TOKEN", help="An administrator's token.")
    ] = "dev-admin-token",  # noqa: S107 - the same
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
    print(user)


@keys.command("show")
def keys_show(*, data_dir: DataDir = None) -> None:
    """Print the public key, to be given to those who verify; beside a running service, too."""
    from app.bootstrap.adapters import signer_of
    from app.domain.errors import NotFoundError
    from app.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    directory = settings.audit.keys_dir or settings.data_dir / "keys"
    if not any(directory.glob("*.pem")):
        raise NotFoundError(f"there is no signing key in {directory}")
    print(signer_of(settings).current().key.encode())


@keys.command("rotate")
def keys_rotate(*, data_dir: DataDir = None) -> None:
    """Make a new signing key that the old one vouches for, and destroy the old one."""
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime:
        print(runtime.container.checkpoints.rotate_key())


def probe(
    user: Annotated[
        str | None, typer.Argument(help="Search for this user; without, for the canary alone.")
    ] = None,
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Search the bytes of every store; exit code 1 unless it proves that nothing is left."""
    from app.cli.runtime import open_runtime
    from app.wire.ids import user_id

    with open_runtime(data_dir) as runtime:
        container = runtime.container
        pseudonym = container.identity.pseudonym("" if user is None else user_id(user))
        (reports,) = container.search.search([container.search.everything_of(pseudonym).needles])
    if as_json:
        fields = ("store", "files", "bytes_read", "patterns", "residue", "control_found")
        print(json.dumps([{name: getattr(one, name) for name in fields} for one in reports]))
        raise typer.Exit(0 if all(one.is_clean for one in reports) else 1)
    for one in reports:
        control = "control found" if one.control_found else "CONTROL NOT FOUND"
        print(
            f"{one.store}: {one.files} files, {one.bytes_read} bytes, {one.patterns} patterns, "
            f"{one.residue} found, {control}, {one.seconds:.2f} s"
        )
        for finding in one.findings:
            print(f"  {finding.kind}: {finding.needles} in {finding.file}")
    if not all(one.is_clean for one in reports):
        raise typer.Exit(1)
