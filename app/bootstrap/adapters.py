"""The adapters that the settings ask for."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from functools import cache, partial
from typing import Final

import redis
import structlog
from celery import Celery

from app.adapters.cache.in_process import LocalCache
from app.adapters.cache.redis import RedisCache, require_noeviction
from app.adapters.chroma.catalogue import ChromaCatalogueIndex
from app.adapters.chroma.memory import ChromaMemoryStore
from app.adapters.chroma.servers import Chroma
from app.adapters.db.engine import open_engine, sqlite_file
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.embedders.minilm import MiniLMEmbedder
from app.adapters.embedders.openai import OpenAICompatibleEmbedder
from app.adapters.embedders.static import StaticEmbedder
from app.adapters.llm.prompts import Prompting
from app.adapters.neighbours.exact import ExactNeighbours
from app.adapters.neighbours.user_knn import UserKnn
from app.adapters.probe.by_queue import SEARCH_S, WORK_S, ProbeOfAll, QueuedProbe
from app.adapters.probe.process import FileProbe
from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.adapters.queue.celery import RING_S, WORKER_ANSWER_S, CeleryQueue, make_celery
from app.adapters.queue.inline import InlineQueue
from app.adapters.system.clock import SystemClock
from app.adapters.system.data_dir import DataDirLock
from app.adapters.system.signing import FileSigner
from app.adapters.system.webhook import HttpWebhookSender
from app.adapters.vault.cipher import VaultCipher
from app.adapters.vault.encrypted_memory_store import EncryptedMemoryStore
from app.adapters.vault.ledger import SqlErasureLedger
from app.bootstrap.chroma import (
    chroma_store,
    cleaned,
    nodes_of,
    open_chroma,
    spec_of,
)
from app.bootstrap.llm import Llm, connect_llm, prompting_of
from app.bootstrap.vault import open_vault, require_keys
from app.domain.erasure.residue import NeedleKind
from app.domain.errors import SettingsError
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.opinion import OpinionRule
from app.domain.tally import Tally
from app.ports.cache import Cache
from app.ports.embedder import Embedder
from app.ports.explainer import Explainer
from app.ports.job_queue import JobQueue
from app.ports.probe import Probe
from app.ports.ranker import Ranker
from app.ports.webhook import WebhookSender
from app.secret_files import count_open, strangers_bits
from app.settings import Settings, load_pepper
from app.settings_groups import NeighboursSettings, OpinionSettings

_log = structlog.get_logger(__name__)
_KNN_CELLS: Final = 200_000
"""Posting-list entries read for one request at most, of the rarest items; bounds its time. On
MovieLens 1M a quarter of it leaves what is found in the tail as it is (docs/decisions/0062)."""


class Adapters:
    """Every adapter of one process.

    Args:
        settings: decide which adapters.
        closing: collects what must be released at the end.
        is_worker: whether a thread of this worker serves the node, so that what its own erasures
            need of the files is shared with others', too.
    """

    def __init__(self, settings: Settings, closing: ExitStack, *, is_worker: bool = False) -> None:
        self.settings = settings
        _require_private(settings)
        if not settings.chroma.servers:
            closing.callback(DataDirLock(settings.data_dir).close)
        self.process_id = secrets.token_hex(8)
        self.clock = SystemClock()
        self.identity = Identity(load_pepper(settings))
        self.vault = open_vault(settings, closing, clock=self.clock)
        self.ledger = SqlErasureLedger(self.vault)
        self.cipher = VaultCipher(self.vault)
        self.uows = SqlUnitsOfWork(
            open_engine(settings.database_url, pool_size=settings.database.pool_size),
            cipher=self.cipher,
            ticket_key=self.identity.ticket_key(),
        )
        closing.callback(self.uows.close)
        require_keys(self.uows, self.vault)
        self.embedder = _embedder(settings, closing)
        chroma = open_chroma(settings)
        closing.callback(chroma.close)
        self.redis = _redis(settings, closing)
        own, self._others = nodes_of(settings, self.redis, identity=self.identity)
        self.here = own if is_worker else None
        self.memory = self._memory(chroma)
        self.catalogue_index = ChromaCatalogueIndex(chroma, spec=spec_of(self.embedder, None))
        self.opinions = _opinions(settings.opinions)
        self.neighbours = _neighbours(settings.neighbours)
        self.signer = signer_of(settings)
        self.signer.create()
        self.cache: Cache = RedisCache(self.redis) if self.redis else LocalCache(clock=self.clock)
        self.llm_answers = Tally("hit", "miss")
        self.prompting = prompting_of(settings.llm)
        self.llm = _llm(settings, closing, prompting=self.prompting)
        self.ranker: Ranker | None = self.llm.ranker if self.llm else None
        self.explainer: Explainer | None = self.llm.explainer if self.llm else None
        self.inline = InlineQueue() if settings.queue == "inline" else None
        self.queue: JobQueue = self.inline or _celery(settings)
        self.probe: Probe = self._probe()
        self.webhook_sender: WebhookSender = _sender(settings, closing)

    def _memory(self, chroma: Chroma) -> EncryptedMemoryStore:
        """Return the memory, which has the files of other nodes cleaned there."""
        store = ChromaMemoryStore(
            chroma,
            spec=spec_of(self.embedder, self.settings),
            here=None if self.here is None else partial(cleaned, self.here),
            elsewhere=[partial(cleaned, node) for node in self._others],
        )
        return EncryptedMemoryStore(store, vault=self.vault)

    def _probe(self) -> Probe:
        """Return what searches the files here, or asks a worker that has them."""
        limit_s = WORK_S if self.here else SEARCH_S
        asked = [*([self.here] if self.here else []), *self._others]
        others: list[Probe] = [QueuedProbe(node, timeout_s=limit_s) for node in asked]
        stores = probed_stores(self.settings)
        if self.here:
            stores = [store for store in stores if store.format is not StoreFormat.CHROMA]
        here: list[Probe] = [FileProbe(stores)] if stores or not others else []
        return ProbeOfAll([*others, *here])


def _require_private(settings: Settings) -> None:
    """Refuse files that others can reach, or tell of them in development.

    Raises:
        SettingsError: in production, there are such files.
    """
    files = (sqlite_file(settings.database_url), sqlite_file(settings.vault_url))
    places = {settings.data_dir, *filter(None, (settings.audit.keys_dir, *files))}
    bits = strangers_bits(trusts_group=settings.trust_group)
    n_open = count_open(places, bits=bits)
    if n_open and settings.is_production:
        many = f"{n_open} files or directories at it can be reached by others"
        raise SettingsError([f"LETHE_DATA_DIR: {many}: chmod -R go= (docs/runbook.md)"])
    if n_open:
        _log.warning("data_files_open_to_others", files=n_open, advice="chmod -R go= on them")


def _sender(settings: Settings, closing: ExitStack) -> HttpWebhookSender:
    sender = HttpWebhookSender(allows_private=settings.webhooks.allow_private)
    closing.callback(sender.close)
    return sender


def signer_of(settings: Settings) -> FileSigner:
    """Return what signs with the keys of a service, and makes none."""
    keys_dir = settings.audit.keys_dir or settings.data_dir / "keys"
    refused = strangers_bits(trusts_group=settings.trust_group)
    return FileSigner(keys_dir, name=settings.audit.origin, refused=refused)


def _llm(settings: Settings, closing: ExitStack, *, prompting: Prompting) -> Llm | None:
    if settings.llm.base_url is None:
        return None
    connected = connect_llm(settings.llm, prompting=prompting)
    closing.callback(connected.ranker.close)
    return connected


def _celery(settings: Settings) -> CeleryQueue:
    nodes = list(settings.chroma.servers) or [settings.chroma.node]
    return CeleryQueue(celery_of(settings, answer_s=RING_S), nodes=nodes)


def celery_of(settings: Settings, *, answer_s: float = WORKER_ANSWER_S) -> Celery:
    """Return the Celery application that the settings ask for; see ``make_celery``.

    Raises:
        SettingsError: Celery is asked for without Redis.
    """
    return make_celery(
        broker_url(settings),
        sweep_s=settings.forget.sweep_s,
        node=settings.chroma.node,
        answer_s=answer_s,
        clock=SystemClock(),
    )


def probed_stores(settings: Settings) -> list[ProbedStore]:
    """Return every store whose files this process can read, with what a canary leaves in it."""
    everywhere = frozenset({NeedleKind.ID, NeedleKind.PSEUDONYM, NeedleKind.DOCUMENT})
    stores = chroma_store(settings)
    rows, vault = sqlite_file(settings.database_url), sqlite_file(settings.vault_url)
    if rows is not None:
        stores.append(ProbedStore("rows", StoreFormat.SQLITE, rows, everywhere))
    if vault is not None:
        control = frozenset({NeedleKind.KEY, NeedleKind.PSEUDONYM})
        stores.append(ProbedStore("vault", StoreFormat.SQLITE, vault, control))
    return stores


def _redis(settings: Settings, closing: ExitStack) -> redis.Redis | None:
    url = settings.redis.url
    if url is None:
        return None
    client = redis.Redis.from_url(url.get_secret_value(), socket_timeout=2.0)
    closing.callback(client.close)
    require_noeviction(client)
    return client


def broker_url(settings: Settings) -> str:
    """Return the address of the Celery broker.

    Raises:
        SettingsError: Celery is asked for without Redis.
    """
    if settings.redis.url is None:
        raise SettingsError(["LETHE_REDIS__URL: required by Celery"])
    return settings.redis.url.get_secret_value()


def _neighbours(told: NeighboursSettings) -> ExactNeighbours:
    return ExactNeighbours(
        dense_limit=told.dense_limit,
        head_limit=told.head_limit,
        regularisation=told.ease_lambda,
        is_graded=True,
        recency=told.recency,
        order_weight=told.order_weight,
        knn=UserKnn(n_neighbours=told.knn_k, length_penalty=0.5, max_cells=_KNN_CELLS),
    )


def _opinions(told: OpinionSettings) -> OpinionRule:
    return OpinionRule(
        positive=told.positive,
        negative=told.negative,
        scale=told.rating_scale,
        thresholds=told.rating_thresholds,
    )


@cache
def _static_embedder() -> StaticEmbedder:
    """Read the packaged model once a process, however many services it opens."""
    return StaticEmbedder()


def _embedder(settings: Settings, closing: ExitStack) -> Embedder:
    if settings.embedder == "static":
        return _static_embedder()
    if settings.embedder == "minilm":
        return MiniLMEmbedder()
    embedding = settings.embedding
    if embedding.base_url is None or embedding.model is None or embedding.dim is None:
        raise SettingsError(["LETHE_EMBEDDING__*: required by the embedder openai"])
    embedder = OpenAICompatibleEmbedder(
        base_url=embedding.base_url,
        model=embedding.model,
        dim=embedding.dim,
        api_key=embedding.api_key.get_secret_value() if embedding.api_key else None,
    )
    closing.callback(embedder.close)
    return embedder
