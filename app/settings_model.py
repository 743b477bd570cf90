"""What can be set, and which settings do not go together; ``app.settings`` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.settings_chroma import ChromaSettings
from app.settings_groups import (
    DEVELOPMENT_ADMIN_TOKEN,
    DEVELOPMENT_SERVICE_TOKEN,
    ApiSettings,
    AuditSettings,
    AuthSettings,
    DatabaseSettings,
    Folder,
    ForgetSettings,
    LettersSettings,
    LogSettings,
    NeighboursSettings,
    OpinionSettings,
    RedisSettings,
    RetentionSettings,
    VaultSettings,
    WebhookSettings,
)
from app.settings_llm import EmbeddingSettings, LlmSettings
from app.wire.scenarios import ScenarioIn

PREFIX: Final = "LETHE_"
SECRET_MIN_CHARACTERS: Final = 32
"""HMAC-SHA-256 needs keys of at least 32 bytes (RFC 2104, section 3)."""
SECRET_MIN_DISTINCT: Final = 8
"""Fewer different characters than any 32 random hexadecimal digits have in practice."""
WEAK: Final = (
    f"at least {SECRET_MIN_CHARACTERS} characters and {SECRET_MIN_DISTINCT} different ones"
)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        validate_by_name=True,
        env_ignore_empty=True,  # `LETHE_REDIS__URL=` in an environment file: there is none
        secrets_dir_missing="ok",  # `load_settings` says so in its words
    )

    env: Literal["development", "production"] = "development"
    """`production` refuses to start with development tokens, without a pepper or a key-encryption
    key, or with jobs that would run inside several processes."""
    data_dir: Folder = Path("lethe-data")
    """Directory of everything that is kept in files. Others than its owner must not reach any of
    it: `production` refuses to start, development tells of it. New files are the owner's alone."""
    trust_group: bool = False
    """Whether the group of these files may reach them, too: for a volume whose group is the
    service's own, as Kubernetes makes it with `fsGroup`."""
    secrets_dir: Folder | None = None
    """Directory of files, each named like a setting and holding its value: so Docker and Kubernetes
    mount secrets, and none stands in an environment. An environment variable goes before a file
    of its name."""
    pepper: SecretStr | None = None
    """Secret from which every stored key of a user is derived; at least 32 characters, such as
    `openssl rand -hex 32` writes. **Losing it orphans all data; changing it too.** Unset in
    development means a file in the data directory, made at first start."""
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")] | None = None
    """Commit that was built, for `service.started` in the audit log and for certificates. Unset
    means unknown."""
    queue: Literal["inline", "celery"] = "inline"
    """Who erases: a thread of this process, or Celery workers."""
    embedder: Literal["static", "minilm", "openai"] = "static"
    """What turns texts into vectors. `static` ships with the package. Vectors of two models never
    mix: changing it means loading the data anew into an empty data directory."""
    unknown_items: Literal["refuse", "stub"] = "refuse"
    """What happens to an interaction with an item that is not in the catalogue: `refuse` answers an
    error, `stub` adds an item with only its id, to be completed by a later `PUT /items`."""
    web_concurrency: Annotated[int, Field(ge=1, le=256, validation_alias="WEB_CONCURRENCY")] = 1
    """API processes that the server starts; uvicorn reads the same variable, hence its name."""
    scenarios: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")], ScenarioIn] = {}
    """Presets of `POST /recommend` by name, as JSON: `{"front-page": {"where": {"stock": {"$gt":
    0}}, "boost": [{"where": {"new": true}, "by": 1.5}], "diversity": 0.3}}`. Keys: `where`,
    `boost`, `seen`, `diversity`, `fill`."""
    database: DatabaseSettings = DatabaseSettings()
    vault: VaultSettings = VaultSettings()
    audit: AuditSettings = AuditSettings()
    chroma: ChromaSettings = ChromaSettings()
    redis: RedisSettings = RedisSettings()
    llm: LlmSettings = LlmSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    auth: AuthSettings = AuthSettings()
    opinions: OpinionSettings = OpinionSettings()
    neighbours: NeighboursSettings = NeighboursSettings()
    forget: ForgetSettings = ForgetSettings()
    retention: RetentionSettings = RetentionSettings()
    webhooks: WebhookSettings = WebhookSettings()
    letters: LettersSettings = LettersSettings()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the sources that are read
        cls,
        _settings_cls: type[BaseSettings],
        *,
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
        **_: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the files of `secrets_dir`."""
        files = NestedSecretsSettingsSource(file_secret_settings)
        return init_settings, env_settings, files

    @property
    def is_production(self) -> bool:
        """Whether the service runs in production."""
        return self.env == "production"

    @property
    def has_docs(self) -> bool:
        """Whether the OpenAPI document is served."""
        return self.api.docs == "on" or (self.api.docs == "auto" and not self.is_production)

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Names that requests may come to; empty for any."""
        local = ("localhost", "127.0.0.1", "[::1]") if self.has_development_tokens else ()
        return self.api.allowed_hosts or local

    @property
    def database_url(self) -> str:
        """The address of the relational database, password included."""
        return self._address(self.database.url, file="lethe.db")

    @property
    def vault_url(self) -> str:
        """The address of the key vault's database, password included."""
        return self._address(self.vault.url, file="vault.db")

    def _address(self, url: SecretStr | None, *, file: str) -> str:
        return url.get_secret_value() if url else f"sqlite:///{self.data_dir / file}"

    @property
    def is_log_json(self) -> bool:
        """Whether log lines are JSON."""
        return self.log.format == "json" or (self.log.format == "auto" and self.is_production)

    @property
    def has_demo_page(self) -> bool:
        """Whether ``/`` is the demo page: in development, while the service token is public."""
        token = self.auth.service_token.get_secret_value()
        return not self.is_production and token == DEVELOPMENT_SERVICE_TOKEN

    @property
    def has_development_tokens(self) -> bool:
        """Whether a token is still the default, which is public."""
        return (
            self.auth.service_token.get_secret_value() == DEVELOPMENT_SERVICE_TOKEN
            or self.auth.admin_token.get_secret_value() == DEVELOPMENT_ADMIN_TOKEN
        )

    @model_validator(mode="after")
    def _refuse_what_cannot_work(self) -> Self:
        problems = [*_contradictions(self), *_untold(self), *_ambiguous(self)]
        problems += [*_unlaid(self), *_unshared(self)]
        if self.is_production:
            problems += _unfit(self)
        if problems:
            # pydantic keeps the message as it is; load_settings takes the lines apart again.
            raise ValueError("\n".join(problems))
        return self


def _contradictions(settings: Settings) -> Iterator[str]:
    """Yield the problems of settings that contradict each other."""
    if settings.embedder == "openai":
        for name in ("base_url", "model", "dim"):
            if getattr(settings.embedding, name) is None:
                yield f"LETHE_EMBEDDING__{name.upper()}: required by the embedder openai"
    if settings.llm.base_url is not None and settings.llm.model is None:
        yield "LETHE_LLM__MODEL: required with LETHE_LLM__BASE_URL"
    if settings.forget.lease_s < 3 * settings.forget.heartbeat_s:
        yield "LETHE_FORGET__LEASE_S: less than three heartbeats, so one slow write loses it"
    if settings.auth.service_token == settings.auth.admin_token:
        yield "LETHE_AUTH__ADMIN_TOKEN: equal to the service token"
    if settings.pepper is not None and is_weak(settings.pepper):
        yield f"LETHE_PEPPER: {WEAK}"


def _untold(settings: Settings) -> Iterator[str]:
    """Yield why nobody could be told of requests, or could be told by anybody."""
    webhooks = settings.webhooks
    if webhooks.urls and (webhooks.secret is None or is_weak(webhooks.secret)):
        yield f"LETHE_WEBHOOKS__SECRET: {WEAK}"
    if not webhooks.allow_private and any(url.startswith("http:") for url in webhooks.urls):
        yield "LETHE_WEBHOOKS__URLS: https only, unless LETHE_WEBHOOKS__ALLOW_PRIVATE"


def _ambiguous(settings: Settings) -> Iterator[str]:
    """Yield what would say two things of one event."""
    if settings.opinions.positive & settings.opinions.negative:
        yield "LETHE_OPINIONS__POSITIVE: a kind of it is in LETHE_OPINIONS__NEGATIVE, too"


def _unlaid(settings: Settings) -> Iterator[str]:
    """Yield the problems of several servers of the vector database."""
    chroma = settings.chroma
    if chroma.url is not None and chroma.urls is not None:
        yield "LETHE_CHROMA__URLS: stands in place of LETHE_CHROMA__URL; set one of them"
    if chroma.urls is not None and not chroma.servers.keys() - chroma.leaving:
        yield "LETHE_CHROMA__URLS: names no server that stays"
    if len(chroma.servers) > 1 and settings.queue != "celery":
        yield "LETHE_CHROMA__URLS: several need LETHE_QUEUE=celery, whose workers clean their files"
    beside_files = chroma.persist_dir is not None
    if beside_files and chroma.urls is not None and chroma.node not in chroma.servers:
        yield "LETHE_CHROMA__NODE: none of chroma-0, chroma-1 and so on, one for each address"


def _unshared(settings: Settings) -> Iterator[str]:
    """Yield the problems of several processes that would not share their stores."""
    has_workers = settings.queue == "celery"
    if not has_workers and settings.web_concurrency == 1:
        return
    if has_workers and settings.redis.url is None:
        yield "LETHE_REDIS__URL: required by Celery"
    elif settings.redis.url is None:
        yield "LETHE_REDIS__URL: required by several processes, or an erasure misses caches"
    if not settings.chroma.servers:
        # A second process on Chroma's files reads erased ids and loses writes, without an error.
        yield "LETHE_CHROMA__URL: required by several processes; Chroma's files bear only one"
    if settings.vault.url is None:
        # On another machine a worker would destroy a key in a vault that never held it.
        yield "LETHE_VAULT__URL: required by several processes, which must share one vault"


def _unfit(settings: Settings) -> Iterator[str]:
    """Yield the problems of settings that are for development only."""
    yield from _unfit_tokens(settings.auth)
    if settings.pepper is None:
        yield "LETHE_PEPPER: required in production"
    if settings.vault.kek is None:
        yield "LETHE_VAULT__KEK: required in production"
    if "origin" not in settings.audit.model_fields_set:
        yield "LETHE_AUDIT__ORIGIN: required in production; a log that has begun keeps its name"
    if settings.forget.stop_at is not None:
        yield "LETHE_FORGET__STOP_AT: for tests; in production it would stop every erasure"
    if settings.queue == "inline" and settings.web_concurrency > 1:
        yield "LETHE_QUEUE: inline in production bears one process; take celery"


def _unfit_tokens(auth: AuthSettings) -> Iterator[str]:
    tokens = {"SERVICE_TOKEN": auth.service_token, "ADMIN_TOKEN": auth.admin_token}
    for name, token in tokens.items():
        if is_weak(token):
            yield f"LETHE_AUTH__{name}: in production {WEAK}"
    if auth.jwks_url is not None and not auth.jwks_url.startswith("https:"):
        yield "LETHE_AUTH__JWKS_URL: in production https, or whoever is between signs as anybody"


def is_weak(secret: SecretStr) -> bool:
    """Whether a secret is short, or of few different characters."""
    value = secret.get_secret_value()
    return len(value) < SECRET_MIN_CHARACTERS or len(set(value)) < SECRET_MIN_DISTINCT
