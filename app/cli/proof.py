"""``lethe verify``, ``audit verify``, ``keys`` and ``probe``: what auditors and operators ask."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

DataDir = Annotated[Path | None, typer.Option(help="Directory of all files.")]
audit: Final = typer.Typer(help="The audit log.", no_args_is_help=True)
keys: Final = typer.Typer(help="The key that signs.", no_args_is_help=True)


def verify(
    file: Annotated[Path, typer.Argument(help="A receipt, a certificate, or an exported log.")],
    *,
    key: Annotated[
        str | None, typer.Option(help="The service's public key, from a source you trust.")
    ] = None,
) -> None:
    """Check a document offline; exit code 0 only if it is whole and signed by the key."""
    from app.data import verify_lethe

    arguments = [str(file), *(["--key", key] if key else [])]
    raise typer.Exit(verify_lethe.main(arguments))


@audit.command("verify")
def audit_verify(*, data_dir: DataDir = None) -> None:
    """Recompute every leaf, node and signature of the log, and compare it with the rows."""
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime:
        report = runtime.container.audit_check.check()
        compared = runtime.container.reconcile.check()
    for problem in (*report.problems, *compared.problems):
        print(problem, file=sys.stderr)
    print(f"{report.n_leaves} leaves, {report.n_checkpoints} checkpoints, root {report.root.hex()}")
    print(
        f"{compared.n_requests} requests, {compared.n_moves} moves, "
        f"{compared.n_contradicted} requests contradict their leaves"
    )
    if not (report.is_whole and compared.is_consistent):
        raise typer.Exit(1)


@keys.command("show")
def keys_show(*, data_dir: DataDir = None) -> None:
    """Print the public key, to be given to those who verify."""
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime:
        print(runtime.container.checkpoints.public_key())


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
) -> None:
    """Search the bytes of every store; exit code 1 unless it proves that nothing is left."""
    from app.cli.runtime import open_runtime
    from app.domain.erasure.request import ErasureOrder
    from app.domain.models import RequestId
    from app.wire.ids import user_id

    with open_runtime(data_dir) as runtime:
        container = runtime.container
        pseudonym = container.identity.pseudonym("" if user is None else user_id(user))
        order = ErasureOrder(RequestId(""), pseudonym, is_whole_user=True, record_ids=())
        (reports,) = container.search.search([container.search.collect(order).needles])
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
