"""Proofs on demand: that a user is forgotten, and that the log agrees with the rows."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.state import StateDep
from app.console.guard import ConsoleRoute, OwnForm, SignedIn
from app.console.pages import page
from app.services.administration.proof import Claim
from app.wire.ids import user_id

HERE: Final = "/admin/console/proof"
CLAIMS: Final = {
    Claim.ANSWERS: "Recommendations are a stranger's, value for value",
    Claim.ROWS: "No row names the user",
    Claim.MEMORIES: "The vector store holds no memory",
    Claim.CACHE: "No answer is cached",
    Claim.KEYS: "The vault holds no key",
    Claim.BYTES: "The files hold no trace, and the search found its canary",
    Claim.STATE: "The state is the one that was just rebuilt without the user",
}
UNITS: Final = {
    Claim.ANSWERS: "lists",
    Claim.ROWS: "tables",
    Claim.MEMORIES: "store",
    Claim.CACHE: "store",
    Claim.KEYS: "store",
    Claim.STATE: "hash",
}

router = APIRouter(prefix=HERE, route_class=ConsoleRoute, include_in_schema=False)


@router.get("")
def get_proof(request: Request, _session: SignedIn) -> Response:
    """Offer both checks."""
    return page(request, "proof.html", proof=None, compared=None)


@router.post("/user")
def prove_user(request: Request, form: OwnForm, state: StateDep) -> Response:
    """Look for a user everywhere, now. The id is in no address, page or log."""
    user = user_id(form.get("user"))
    container = state.container
    proof = container.prove.prove(container.identity.pseudonym(user))
    return page(request, "proof.html", proof=proof, compared=None, claims=CLAIMS, units=UNITS)


@router.post("/log")
def reconcile(request: Request, _form: OwnForm, state: StateDep) -> Response:
    """Compare the log with the rows."""
    compared = state.container.reconcile.check()
    return page(request, "proof.html", proof=None, compared=compared)
