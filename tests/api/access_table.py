"""Who may call what: every route, and the holders that it opens to. Printed in docs/access.md.

``tests/api/test_access.py`` walks it over the running application, so that a route that is
missing here, or opens to somebody else, fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "access.md"
HOLDERS: Final = (
    "nobody",
    "read",
    "ingest",
    "forget",
    "user",
    "capability",
    "auditor",
    "operator",
)
"""Columns: without a token, a key of each scope, a user's own token, a capability, staff."""
_STAFF: Final = "auditor operator"
_STATUS: Final = "forget user capability auditor operator"
ROUTES: Final = {
    "GET /recommend/{user:path}": "read user",
    "POST /recommend": "read user",
    "POST /recommend/batch": "read",
    "GET /items/{item_id:path}/similar": "read user",
    "GET /popular": "read user",
    "GET /latest": "read user",
    "GET /items": "read",
    "GET /items/{item_id:path}": "read",
    "POST /items": "ingest",
    "PUT /items/{item_id:path}": "ingest",
    "DELETE /items": "ingest",
    "DELETE /items/{item_id:path}": "ingest",
    "POST /interactions": "ingest",
    "POST /forget": "forget user",
    "POST /forget/batch": "forget",
    "POST /forget/preview": "forget user",
    "DELETE /users/{user:path}/interactions/{event_id:path}": "forget user",
    "GET /forget/{request_id}": _STATUS,
    "GET /forget/{request_id}/certificate": _STATUS,
    "GET /forget/{request_id}/certificate.tlog-proof": _STATUS,
    "POST /users/suppressions": "forget user",
    "GET /users/{user:path}/suppressions": "forget user",
    "DELETE /users/{user:path}/suppressions/{topic_id}": "forget user",
    "POST /users/export": "forget user",
    "GET /users/{user:path}/export": "forget user",
    "POST /users/rights": "forget user",
    "GET /users/{user:path}/rights": "forget user",
    "PUT /users/{user:path}/{right}": "forget user",
    "DELETE /users/{user:path}/{right}": "forget user",
    "GET /admin/audit": _STAFF,
    "GET /admin/audit/checkpoint": _STAFF,
    "GET /admin/audit/consistency": _STAFF,
    "GET /admin/audit/export": _STAFF,
    "GET /admin/audit/leaves/{seq}/proof": _STAFF,
    "POST /admin/audit/check": _STAFF,
    "POST /admin/audit/reconcile": _STAFF,
    "GET /admin/requests": _STAFF,
    "GET /admin/answers": _STAFF,
    "GET /admin/webhooks": _STAFF,
    "POST /admin/prove": _STAFF,
    "POST /admin/drill": _STAFF,
    "POST /admin/holds": "operator",
    "POST /admin/requests/{request_id}/retry": "operator",
    "POST /admin/requests/{request_id}/hold": "operator",
    "POST /admin/requests/{request_id}/release": "operator",
    "POST /admin/requests/{request_id}/reject": "operator",
    "POST /admin/requests/{request_id}/extend": "operator",
    "GET /.well-known/lethe.json": "all",
    "GET /log/checkpoint": "all",
    "GET /log/leaves/{seq}/proof": "all",
    "GET /log/consistency": "all",
    "GET /about/recommendations": "all",
    "GET /livez": "all",
    "GET /readyz": "all",
    "GET /metrics": "all",
    "GET /docs": "all",
    "GET /openapi.json": "all",
}
CONSOLE: Final = {
    "GET /admin/console/sign-in": "all",
    "POST /admin/console/sign-in": "all",
    "GET /admin/console/static/{version}/{name}": "all",
    "POST /admin/console/sign-out": _STAFF,
    "GET /admin": _STAFF,
    "GET /admin/console/stores": _STAFF,
    "GET /admin/console/requests": _STAFF,
    "GET /admin/console/requests/{request_id}": _STAFF,
    "GET /admin/console/requests/{request_id}/certificate": _STAFF,
    "GET /admin/console/requests/{request_id}/certificate.json": _STAFF,
    "GET /admin/console/requests/{request_id}/{name}": "operator",
    "POST /admin/console/requests/{request_id}/{name}": "operator",
    "POST /admin/console/requests/find": _STAFF,
    "GET /admin/console/requests/{request_id}/letter/{letter}": _STAFF,
    "GET /admin/console/report": _STAFF,
    "GET /admin/console/report.csv": _STAFF,
    "GET /admin/console/person": "operator",
    "POST /admin/console/person": "operator",
    "GET /admin/console/log": _STAFF,
    "GET /admin/console/log/evidence": _STAFF,
    "GET /admin/console/log/leaves": _STAFF,
    "GET /admin/console/proof": _STAFF,
    "POST /admin/console/proof/user": _STAFF,
    "POST /admin/console/proof/log": _STAFF,
}
"""Pages: what opens them is the cookie of a session, which only staff can begin."""


def opens_to(said: str) -> set[str]:
    """Return the holders that a cell of the table means."""
    return set(HOLDERS) if said == "all" else set(said.split())


def render() -> str:
    """Return the page with its table made anew."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- access -->\n")
    _, _, tail = rest.partition("<!-- /access -->\n")
    return f"{head}<!-- access -->\n{''.join(_lines())}<!-- /access -->\n{tail}"


def _lines() -> Iterator[str]:
    yield f"| route | {' | '.join(HOLDERS)} |\n| --- |{' --- |' * len(HOLDERS)}\n"
    for route, said in {**ROUTES, **CONSOLE}.items():
        cells = ("yes" if one in opens_to(said) else "" for one in HOLDERS)
        yield f"| `{route.replace(':path', '')}` | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
