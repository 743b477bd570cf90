"""The groups that the settings are made of; ``app.settings`` puts them together.

The docstring under a field is its entry in ``docs/settings.md``: meaning, unit, range, and what
it means to leave it unset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from app.domain.models import Kind

DEVELOPMENT_SERVICE_TOKEN: Final = "dev-service-token"  # noqa: S105 - public; loopback only
DEVELOPMENT_ADMIN_TOKEN: Final = "dev-admin-token"  # noqa: S105 - public; loopback only

Seconds = Annotated[float, Field(gt=0, le=86_400)]
"""A duration of at most a day."""


def _unfolded(pem: str) -> str:
    # Environment files hold one line a value, so a PEM's line ends are written as \n in them.
    return pem.replace("\\n", "\n").strip() + "\n"


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        message = "the first must be below the second"
        raise ValueError(message)
    return pair


Rising = Annotated[tuple[float, float], AfterValidator(_rising)]
HttpUrls = Annotated[str, Field(pattern=r"^https?://[^\s/,]+[^\s,]*(,https?://[^\s/,]+[^\s,]*)*$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")]
PublicKey = Annotated[
    str, Field(pattern=r"^\s*-----BEGIN PUBLIC KEY-----"), AfterValidator(_unfolded)
]
Folder = Annotated[Path, AfterValidator(_absolute)]


class Group(BaseModel):
    """A nested group of settings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )


class DatabaseSettings(Group):
    """The relational database."""

    url: SecretStr | None = None
    """SQLAlchemy address (`postgresql+psycopg://user:password@host/name` or `sqlite:///path`);
    unset means the file `lethe.db` in the data directory."""
    owner_url: SecretStr | None = None
    """The owner of schema and log, for `lethe migrate`, which makes the role of the URL."""
    pool_size: Annotated[int, Field(ge=1, le=500)] = 20
    """Connections that each process keeps to rows and vault each; up to twice that under load."""


class AuditSettings(Group):
    """The audit log and what is signed over it."""

    origin: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._/-]{1,64}$")] = "lethe"
    """Name of this service's log, in every checkpoint, receipt and certificate; such as a domain.
    Fixed once there is a log. Production wants it said: who could tell two of one name apart?"""
    policy: Folder | None = None
    """File in the form of c2sp.org/tlog-policy: the witnesses that are asked to cosign checkpoints,
    each with its address, and how many of them a verifier is to ask for. Unset means none."""
    keys_dir: Folder | None = None
    """Directory of the signing keys, shared by all processes; unset means `keys` in the data
    directory, made at first start. Back it up apart from the data."""


class VaultSettings(Group):
    """The key vault: every user's key, without which what is stored of them cannot be read."""

    url: SecretStr | None = None
    """SQLAlchemy address of a database of its own, on a server whose backups are kept apart; unset
    means the file `vault.db` in the data directory. Required by several processes."""
    kek: SecretStr | None = None
    """Key-encryption key: 64 hexadecimal digits, such as `openssl rand -hex 32` writes. After a
    comma, former keys, until all is rewrapped. **Losing it makes all personal data unreadable.**
    Unset in development means a file in the data directory, made at first start."""
    cache_keys: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """Most users' keys that a process holds unwrapped in memory; 0 for none."""
    cache_ttl_s: Seconds = 60.0
    """Seconds a key is held in memory at most; none is used after it was destroyed."""


class RedisSettings(Group):
    """Broker and cache of the distributed mode."""

    url: SecretStr | None = None
    """`redis://` or `rediss://` address; unset means none. With `maxmemory-policy noeviction`."""


class AuthSettings(Group):
    """Who may call."""

    service_token: SecretStr = SecretStr(DEVELOPMENT_SERVICE_TOKEN)
    """Bearer token of the calling service (any user). In production at least 32 characters; the
    default is public and works on the loopback interface only."""
    admin_token: SecretStr = SecretStr(DEVELOPMENT_ADMIN_TOKEN)
    """Bearer token of administrators. The same rules; never equal to the service token."""
    jwt_public_key: PublicKey | None = None
    """PEM of the key that signs users' tokens, line ends as `\\n`; `sub` is the user id. With
    neither this nor a JWKS address users cannot call for themselves."""
    jwks_url: HttpUrl | None = None
    """Address of the keys that sign users' tokens (RFC 7517), told apart by `kid`; https in
    production. Read every five minutes, and for a `kid` that is not known every 30 s at most."""
    jwt_issuer: str | None = None
    """What `iss` of users' tokens has to be; unset for anything."""
    jwt_audience: str | None = None
    """What `aud` of users' tokens has to hold; unset refuses tokens that have one."""
    jwt_max_life_s: Annotated[float, Field(gt=0, le=31_536_000)] = 86_400.0
    """Seconds until a user's token may end; one that ends later is refused. A stolen token is the
    person until it ends."""


class OpinionSettings(Group):
    """What an interaction says of an item. Changing any of these changes results."""

    positive: frozenset[Kind] = frozenset({Kind.LIKE, Kind.PURCHASE, Kind.RATING, Kind.VIEW})
    """Kinds that speak for an item and are counted, as a JSON list; a rating as its value says."""
    negative: frozenset[Kind] = frozenset({Kind.DISLIKE})
    """Kinds that speak against one, as a JSON list. A kind in neither list says nothing."""
    rating_scale: Rising = (1.0, 5.0)
    """Lowest and highest rating that callers report, as a JSON list. The lowest quarter (1 and 2
    of 1 to 5) speaks against an item; a rating a standard deviation or more below the user's own
    mean says nothing; the others speak for it."""
    rating_thresholds: Rising | None = None
    """Instead two fixed ratings, as a JSON list: up to the first against, from the second on for.
    Unset means by the scale and the user's own mean."""


class NeighboursSettings(Group):
    """Collaborative filtering. Changing any of these changes results."""

    dense_limit: Annotated[int, Field(ge=0, le=50_000)] = 10_000
    """Largest catalogue, in items that somebody has, with exact co-occurrence counts and EASE of
    all of it. Memory grows with its square: 10,000 items take 0.4 GB of counts and 1.2 GB of
    model."""
    head_limit: Annotated[int, Field(ge=0, le=50_000)] = 4_000
    """Items of a larger catalogue, those that most users have, that EASE covers; neighbours speak
    for the others. 4,000 take 0.2 GB, 0.4 GB more at each refresh, and some seconds of a core.
    0 for neighbours alone."""
    ease_lambda: Annotated[float, Field(gt=0, le=1_000_000)] = 30.0
    """L2 regularisation of EASE, in interactions, for an item that nobody has; times the square
    root of 2 for each binary digit of the number of its users. Flat from 30 to 40 on MovieLens
    100K and 1M."""
    recency: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of what an item of a user's own history counts that fades as newer ones come; 0
    counts all alike. In a sitting nine tenths fade, and faster, unless this is 0."""
    order_weight: Annotated[float, Field(ge=0, le=10)] = 0.5
    """What counts that people turned to an item next, in deviations of the score; 0 for nothing."""
    fold_s: Annotated[float, Field(ge=0, le=86_400)] = 5.0
    """Seconds between two computations of EASE for what was only written, an opinion that changed
    included, or forty times what the last one took, if that is more. What was forgotten acts at
    once, and a user's own list follows the user's own events."""
    knn_k: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many most similar users are asked where EASE does not cover the items."""


class ForgetSettings(Group):
    """How erasures are carried out."""

    lease_s: Seconds = 30.0
    """Seconds without a heartbeat until another worker may take over; three heartbeats or more."""
    heartbeat_s: Seconds = 5.0
    """Seconds between two heartbeats of a worker."""
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 12
    """Attempts after which a request is `failed` and waits for an administrator."""
    review: Literal["none", "hold"] = "none"
    """`hold`: each request is suppressed at once, and erased only once an administrator has
    released it. `none`: only those that ask for it, or meet a legal hold on their user."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 50
    """Requests that a worker processes together at most, cleaning and searching files once."""
    look_again_days: tuple[Annotated[float, Field(gt=0, le=365)], ...] = (1.0, 30.0)
    """Days after its completion at which an erasure is searched for again, as a JSON
    list; each search is recorded in the audit log. Until the last one, up to 27 kB of fingerprints
    are kept of each erasure. `[]` means never."""
    sweep_s: Seconds = 5.0
    """Seconds between two searches for requests that no worker is processing."""
    backoff_s: Seconds = 0.5
    """Seconds before the second attempt, doubled for each further one; a minute at most."""
    take_over_s: Seconds = 30.0
    """Seconds without any sign of a Celery worker until an API process carries out erasures."""
    process_lease_s: Seconds = 15.0
    """Seconds after its last sign of life for which an erasure waits for an API process."""
    stop_at: Annotated[str, Field(pattern=r"^(\*|!?[a-z]+:(before|done))$")] | None = None
    """For crash tests: the process stops itself (SIGSTOP) when the first attempt of an erasure
    reaches this point, such as `memory:before` or `complete:done`; `*` is every point, and
    `!` before a point means in every attempt. Never in production."""


Days = Annotated[float, Field(ge=1, le=36_500)]


class RetentionSettings(Group):
    """How long data are kept; what is older is erased once a day, as if its user had asked."""

    days: dict[Kind, Days] = {}
    """Days that interactions of a kind are kept, as JSON: `{"view": 180}`; a kind that is not named
    is kept until somebody asks. Nothing goes of users under a legal hold, or who restricted it."""
    inactive_days: Days | None = None
    """Days without an interaction after which everything of a user is erased; who comes back later
    needs no new consent. Unset means never."""


class WebhookSettings(Group):
    """Who is told of each change of a request's state (GDPR Art. 19)."""

    urls: tuple[HttpUrl, ...] = ()
    """Addresses that each change is posted to, signed, as a JSON list. A new one is told of what
    happens from then on."""
    secret: SecretStr | None = None
    """Signs what is posted (HMAC-SHA-256, header `Lethe-Signature`); at least 32 characters."""
    allow_private: bool = False
    """Whether private, loopback and link-local addresses, and `http://`, are called, too."""


class LettersSettings(Group):
    """What the console's letters to people say of who writes them."""

    controller: str = ""
    """Name and address of the controller (GDPR Art. 4(7)). Unset, letters leave a gap to fill."""
    contact: str = ""
    """How the controller, or its data-protection officer, is reached."""
    authority: str = ""
    """The supervisory authority that people may complain to (Art. 77)."""
    folder: Folder | None = None
    """Directory of templates that stand in for the letters that ship with the service, such as
    translations: `received.txt`, `done.txt`, `refused.txt`, `extended.txt` in Jinja."""


class ApiSettings(Group):
    """The HTTP side."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """TCP port to listen on; 0 takes a free one."""
    public_url: Annotated[str, Field(pattern=r"^(https?://[^\s?#]+[^\s?#/])?$")] = ""
    """Address under which callers reach the service, such as `https://lethe.example`; it begins
    every `status_url`. Unset, that is a path: what a caller writes into `Host` is not believed."""
    allowed_hosts: tuple[Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9.:\[\]-]+$")], ...] = ()
    """Names that requests may come to (`Host`), as a JSON list; others are 400, probes by address,
    too. Empty means any; with the development tokens `localhost`, `127.0.0.1` and `[::1]`."""
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """TCP port, on all addresses, where a worker or beat answers with its metrics; unset: none."""
    max_body_bytes: Annotated[int, Field(ge=1_024, le=1_073_741_824)] = 8_388_608
    """Bytes a request body may have; more is 413."""
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    """Entries one batch may have; more is 422."""
    future_skew_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """Seconds that an event may lie in the future, because clocks differ; more is 422."""
    docs: Literal["auto", "on", "off"] = "auto"
    """Whether `/docs` and `/openapi.json` are served. Anyone may read them: they hold no personal
    data. `auto` is on in development and off in production."""
    recommend_at_once: Annotated[int, Field(ge=1, le=64)] | None = None
    """Recommendations that a process computes at once; the others wait. One that waits for the
    language model does not count. More at once slow each other down. Unset means 1 with Chroma
    inside this process and 4 with a Chroma server."""


class LogSettings(Group):
    """The log, which is written to standard output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity written."""
    format: Literal["auto", "json", "console"] = "auto"
    """`auto` is JSON in production and readable lines in development."""
    traces: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """Collector of OpenTelemetry traces (OTLP over gRPC), such as `http://collector:4317`: spans of
    requests, erasure steps and calls of the model, with nobody's data. Unset means none."""
