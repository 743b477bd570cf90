"""A client of Lethe: recommends, forgets, and checks what the service signed.

``Lethe`` waits, ``AsyncLethe`` is awaited; both have the same methods. ``verify`` needs neither a
service nor a network.
"""

from lethe_client.async_client import AsyncLethe
from lethe_client.checking import Checked, verify
from lethe_client.client import Lethe
from lethe_client.errors import LetheError, RefusedError, UnavailableError
from lethe_client.models import (
    Accepted,
    Because,
    Erasure,
    Ingested,
    Interaction,
    Item,
    ItemsStored,
    Preview,
    Recommendation,
    Recommended,
    Rights,
    Scope,
    Step,
)
from lethe_client.sending import Patience

__all__ = [
    "Accepted",
    "AsyncLethe",
    "Because",
    "Checked",
    "Erasure",
    "Ingested",
    "Interaction",
    "Item",
    "ItemsStored",
    "Lethe",
    "LetheError",
    "Patience",
    "Preview",
    "Recommendation",
    "Recommended",
    "RefusedError",
    "Rights",
    "Scope",
    "Step",
    "UnavailableError",
    "verify",
]
