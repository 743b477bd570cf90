"""The certificate as a page to hand to a person.

One file without scripts or outside resources, so that it can be mailed, printed and kept.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Final

from app.console.pages import TEMPLATES
from app.domain.certificates.certificate import Certificate

_STYLE: Final = files("app.console").joinpath("templates/certificate.css").read_text("utf-8")
STYLE_SOURCE: Final = (
    f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)
"""What ``style-src`` of a Content-Security-Policy has to list to allow its one style element."""
_SCOPES: Final = {
    "all": "everything held about one person",
    "items": "what was held about one person and certain items",
    "topic": "what was held about one person and a topic",
    "period": "what was held about one person from a certain time",
    "events": "certain events held about one person",
    "correction": "what corrected events of one person had said before",
}


def certificate_page(certificate: Certificate) -> str:
    """Return the page, HTML 5 in UTF-8. Says nothing that the certificate does not say."""
    return TEMPLATES.get_template("certificate.html").render(
        certificate=certificate,
        scope=_SCOPES[certificate.statement.scope_kind],
        style=_STYLE,
    )
