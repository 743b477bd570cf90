"""What was measured: each figure read out of its result file, for ``docs/figures.md``."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parents[2] / "benchmarks" / "results"
Row = tuple[str, Callable[[], str], tuple[str, ...], tuple[str, ...]]
"""What was measured, its figures in words, the result files, the pictures."""


@cache
def result(name: str) -> Any:  # noqa: ANN401 - JSON of each benchmark's own form
    """Return what a benchmark found."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def at(name: str, *path: str | int) -> Any:  # noqa: ANN401 - the same
    """Return one value of a result.

    Raises:
        KeyError: the result has no such value (any more).
    """
    here = result(name)
    for step in path:
        here = here[step]
    return here


def _carried(processes: str) -> str:
    most = at("load", "curves_by_api_processes", processes, "rates", -1)
    return f"{most['answered_per_second']:.0f}"


def _at_a_rate(offered: int) -> str:
    rows = at("load", "curves_by_api_processes", "2", "rates")
    (lists,) = (row["ms"]["recommend"] for row in rows if row["offered_per_second"] == offered)
    return f"p50 {lists['p50']:.0f}, p99 {lists['p99']:.0f} ms"


def _filled() -> str:
    return ", ".join(f"{row['users']:,}" for row in at("erasure_rewrite", "rows"))


def _waited(when: str, cleaning: str, *, reader: int = 0) -> str:
    rows = at("erasure_rewrite", "rows")
    waits = [row[when][cleaning]["longest_waits_s"][reader] for row in rows]
    return ", ".join(f"{wait:.2g} s" for wait in waits)


def _a_minute(key: str) -> str:
    wanted = {"memories": 3_000, "asked": 50, "at_once": 1}
    by_servers = {
        row["servers"]: row[key] for row in at("erasure_nodes", "rows") if row == row | wanted
    }
    return ", ".join(f"{value:.0f} with {n}" for n, value in sorted(by_servers.items()))


def _scaled(*path: str) -> str:
    found = []
    for row in at("scale", "rows"):
        value = row
        for step in path:
            value = value[step]
        found.append(f"{value:.3g}")
    return ", ".join(found)


def _starts(when: str) -> str:
    return ", ".join(f"{one['wall_s']:.0f}" for one in at("start", when))


def _moved(form: str, attack: str) -> str:
    return f"{at('llm_injection', 'forms', form, attack, 'mean_up'):+.1f}"


def _shut_out(beside: str) -> str:
    longest = at("erasure_stall", "embedded", "beside", beside, "readers_shut_out_s", "longest")
    return f"{longest:.2f}"


def _worst_lists(beside: str) -> str:
    modes = [mode for mode in ("embedded", "servers") if mode in result("erasure_stall")]
    return ", ".join(
        f"{at('erasure_stall', mode, 'beside', beside, 'waits_s', 'recommend', 'max'):.2f} s {mode}"
        for mode in modes
    )


def _laid(n_shards: int, n_nodes: int, figure: str) -> float:
    (row,) = (
        row
        for row in at("shard_map", "rows")
        if (row["shards"], row["nodes"]) == (n_shards, n_nodes)
    )
    return float(row[figure])


def _ndcg(data: str, model: str) -> str:
    before, after = (
        at(f"quality_{data}", when, "models", model, "ndcg@10", "mean")
        for when in ("before", "after")
    )
    return f"{before:.3f} and {after:.3f}"


def _served(data: str) -> str:
    ours, ease = (at(f"quality_served_{data}", "random", "arms", arm) for arm in ("list", "EASE"))
    return " and ".join(
        f"{ours[kind]['mean']:.3f} (EASE {ease[kind]['mean']:.3f})"
        for kind in ("ndcg_liked", "ndcg_all")
    )


def _left(procedure: str) -> str:
    rows = [row for row in at("erasure_peers", "rows") if row["procedure"] == procedure]
    kinds = {kind for row in rows for kind, share in row["left"].items() if share > 0}
    return ", ".join(sorted(kinds)) or "nothing"


def _disturbed(name: str) -> str:
    spells = at(name, "disturbances").values()
    missed = sum(sum(one["not_answered"].values()) for one in spells)
    asked = sum(one["requests"] for one in spells)
    return (
        f"{missed} of {asked:,} in {len(spells)} disturbances; "
        f"{at(name, 'lost')} of {at(name, 'erasures', 'completed') + at(name, 'lost')}"
    )


def _latency(size: str) -> str:
    found = at("serving", "sizes", size, "latency_ms", "recommend")
    return f"p50 {found['p50']:.1f}, p99 {found['p99']:.1f} ms"


def _beside(when: str) -> str:
    rates = at("serving_before", when, "throughput")
    shares = ", ".join(
        f"{rates[clients]['recommend_over_bare']:.2f} at {clients}" for clients in ("1", "4", "16")
    )
    median = at("serving_before", when, "latency_ms", "recommend", "p50_over_row")
    return f"{when}: {shares} connections, median {median:.1f} times a row"


def _certificate(name: str) -> str:
    one, stream = (at(name, part, "certificate_s", "p95") for part in ("one_by_one", "stream"))
    return f"{one:.1f} s alone, {stream:.1f} s at a hundred a minute"


def _held(row: dict[str, Any]) -> str:
    mib = row["bytes"] / 2**20
    return f"{row['users']:,} users {mib:,.0f} MiB, {row['bytes_a_pair']:.1f} bytes a pair"


def _own_memory() -> str:
    row = max(at("own_memory", "rows"), key=lambda one: one["records"])
    by_ids, by_query = (
        row["ways"][way]["seconds"]["p50"] * 1000
        for way in ("by ids, rotated", "query(where=…), plain")
    )
    return f"among {row['records']:,} records {by_ids:.1f} ms by ids, {by_query:,.0f} ms by `query`"


def _faster(data: str) -> str:
    """How many times less processor one request takes than the next exact system's."""
    lethe, other = (
        at(f"unlearning/{data}_{system}_one-user_s0", "time", "cpu_s", "p50")
        for system in ("ease_lethe", "item_knn_retrain")
    )
    return f"{other / lethe:,.0f}"


def _regimes(data: str) -> str:
    forms = at(f"llm_regimes_{data}", "forms").values()
    return "; ".join(_regime(one) for one in forms if one["cases"])


def _regime(found: dict[str, Any]) -> str:
    mean, low, high = found["gain"]
    told = f"{found['situation'].replace('_', ' ')} by {found['form']}"
    return f"{told} {found['without']:.3f}, {mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def _timed(form: str) -> str:
    steps = (at("llm_times", "forms", form, step) for step in ("first", "again"))
    return " and ".join(f"{one['p50_s']:.2f} and {one['p95_s']:.2f} s" for one in steps)


def _speed_up() -> str:
    race = at("llm_speed", "races", "50 candidates, 1 clients")
    return (
        f"{race['json_labels']['times_one_pass']:.1f} times as fast as JSON of labels, "
        f"{race['json_item_ids']['times_one_pass']:.1f} as JSON of ids (50 candidates)"
    )


def tampered() -> int:
    """Return how many changes were made to a certificate and a log."""
    return int(at("audit_tamper", "certificate", "changes") + at("audit_tamper", "log", "changes"))


def missed() -> int:
    """Return how many of them the verifier did not notice."""
    return int(at("audit_tamper", "certificate", "missed") + at("audit_tamper", "log", "missed"))


def _filter() -> str:
    size = max(at("where", "sizes"), key=lambda one: one["items"])
    found = size["filters"][1]
    ours, rows = (found[way]["cpu_ms_p50"] for way in ("masks", "sqlite_json"))
    return (
        f"{ours:.2f} ms for {found['conditions']} conditions on {size['items']:,} items, "
        f"{rows:,.0f} ms by JSON in SQLite"
    )


def _filtered_list() -> str:
    size = at("where_lists", "sizes", -1)
    added = ", ".join(f"{size[f'with_{n}']['adds_p50']:.2f} ms for {n}" for n in (1, 3, 10))
    return f"{size['without']['p50']:.1f} ms without, and {added} conditions more"


def _topic() -> str:
    found = result("topic")
    precision, recall = (found["against_the_series"][name] for name in ("precision", "recall"))
    return (
        f"precision {precision:.2f}, recall {recall:.2f}; listed after the 202: "
        f"{found['listed_after_the_202']}; memories left: {found['memories_left']}"
    )


def _topics() -> str:
    found = [
        f"{name} {at('topics', name, 'precision'):.2f} and {at('topics', name, 'recall'):.2f}"
        for name in ("words", "served")
    ]
    return f"{', '.join(found)} (the embedder at 0.4 {_embedder_on_topics()})"


def _embedder_on_topics() -> str:
    found = at("topics", "embedder", "0.4")
    return f"{found['precision']:.2f} and {found['recall']:.2f}"


def _embedders() -> str:
    return "; ".join(
        f"{name} {one['known'][0]:.3f}, {one['query_ms']:.1f} ms, {one['mb']:.0f} MB"
        for name, one in result("embedders")["embedders"].items()
    )


def _senses() -> str:
    known, held = (at("senses", "turns", part) for part in ("known", "held"))
    return (
        f"{known['noticed']:.2f} noticed, told in other ways {held['noticed']:.2f}; praise "
        f"mistaken {known['mistaken']:.2f} and {held['mistaken']:.2f}; keeps out "
        f"{at('senses', 'repelled', 'kept_out_mean'):.2f} of the kind and "
        f"{at('senses', 'repelled', 'others_mean'):.1f} other books of "
        f"{at('senses', 'repelled', 'books')}"
    )


def _words(kind: str) -> str:
    found = at("words", kind)["ndcg@10"]
    return f"{found['embedder'][0]:.3f}, {found['words'][0]:.3f}, {found['both at 0.5'][0]:.3f}"


ROWS: Final[tuple[Row, ...]] = (
    (
        "`GET /recommend` over HTTP, MovieLens 100K, no language model",
        lambda: (
            f"p50 {at('recommend_ml100k', 'p50_ms'):.1f}, "
            f"p99 {at('recommend_ml100k', 'p99_ms'):.1f} ms"
        ),
        ("recommend_ml100k",),
        (),
    ),
    (
        "the same from other stores, beside a bare route",
        lambda: (
            f"MovieLens 100K {_latency('ml-100k')}; 1M {_latency('ml-1m')}; "
            f"a million users {_latency('1,000,000 users x 60,000 items')}"
        ),
        ("serving", "serving_turns"),
        (),
    ),
    (
        "the same at the version before and now: throughput beside a route that does nothing",
        lambda: "; ".join(_beside(when) for when in ("before", "after")),
        ("serving_before", "serving_plain"),
        (),
    ),
    (
        "of one core, following 10 and 50 writes a second at MovieLens 1M, and 50 at 300,000 users",
        lambda: ", ".join(
            f"{at(name, 'by_writes', rate, 'cpu_share'):.2f}"
            for name, rate in (
                ("serving_writes", "10"),
                ("serving_writes", "50"),
                ("serving_writes_300k", "50"),
            )
        ),
        ("serving_writes", "serving_writes_300k"),
        ("writes.png",),
    ),
    (
        "loading MovieLens 100K, beside the version before, in one run",
        lambda: (
            f"{at('loading', 'per_s_over_before'):.1f} times as many a second, "
            f"{at('loading', 'cpu_over_before'):.2f} of the processor; "
            f"MovieLens 1M at {at('loading', 'ml-1m', 'per_s'):,.0f} a second"
        ),
        ("loading",),
        (),
    ),
    (
        "embedded, 10,000, 100,000 and 1,000,000 users with 60,000 items",
        lambda: (
            f"start {_scaled('start', 'wall_s')} s, {_scaled('resident_mib')} MiB; a list in the "
            f"median {_scaled('list_wall_ms', 'p50')} ms, gathered anew "
            f"{_scaled('gathered_list_wall_ms', 'p50')} ms; a certificate "
            f"{_scaled('certificate_s', 'p50')} s"
        ),
        ("scale",),
        ("scale.png",),
    ),
    (
        "of the processor's time of a list, server and framework, and looks at the database",
        lambda: " and ".join(
            f"{at('serving_steps', 'shares', step):.2f}"
            for step in ("server and framework", "looks at the database")
        ),
        ("serving_steps",),
        (),
    ),
    (
        "a start from SQL, 10,000, 100,000 and 1,000,000 users with 60,000 items",
        lambda: f"{_starts('rows')} s, {_starts('before')} before rows were read in columns",
        ("start",),
        ("start.png",),
    ),
    (
        "NDCG@10 of free text by the embedder, by words, by both, on the demo set",
        lambda: f"books that are meant {_words('known')}; notes of taste {_words('taste')}",
        ("words",),
        (),
    ),
    (
        "small embedders alone on the books that are meant, a query's time, the model's size",
        _embedders,
        ("embedders",),
        (),
    ),
    (
        "precision and recall of what is about a topic, on 92 labelled pairs",
        _topics,
        ("topics",),
        (),
    ),
    (
        'notes against something ("I hate ghost stories"), and what they keep out',
        _senses,
        ("senses",),
        (),
    ),
    (
        "reasons from facts, read by a person",
        lambda: (
            f"{at('reasons', 'given')} of {at('reasons', 'items')} items have one, "
            f"{at('reasons', 'given') - at('reasons', 'not_sensible')} of these make sense"
        ),
        ("reasons",),
        (),
    ),
    (
        "a small language model on topics and notes, by likelihood",
        lambda: (
            f"tells topics apart with AUC {at('topics', 'model', 'query', 'auc'):.2f} "
            f"(embedder {at('topics', 'embedder', 'auc'):.2f}); notices "
            f"{at('senses', 'model', 'tail', 'held', 'noticed'):.2f} of unseen dislikes, mistakes "
            f"{at('senses', 'model', 'tail', 'held', 'mistaken'):.2f} of praise"
        ),
        ("likelihoods", "topics", "senses"),
        (),
    ),
    (
        "a filter on attributes",
        _filter,
        ("where",),
        ("where.png",),
    ),
    (
        "what a filter adds to the candidates of a list, of 100,000 items",
        _filtered_list,
        ("where_lists",),
        ("where_lists.png",),
    ),
    (
        "what deletion leaves on disk",
        lambda: (
            f"Lethe: {_left('Lethe')}; Chroma's delete: {_left('Chroma: delete')}; "
            f"LanceDB: {_left('LanceDB: delete')}; mem0: {_left('mem0 over Chroma: delete_all')}"
        ),
        ("erasure_peers", "erasure"),
        ("erasure_peers.png", "erasure.png"),
    ),
    (
        "a hundred erasures from stores of 10 to 100,000 memories, embedded and on servers",
        lambda: (
            f"{at('erasure_hundred', 'summary', 'clean')} of "
            f"{at('erasure_hundred', 'summary', 'runs')} clean; stock Chroma left something in "
            f"{at('erasure_hundred', 'summary', 'stock_dirty')}"
        ),
        ("erasure_hundred",),
        (),
    ),
    (
        "seconds to a certificate (p95)",
        lambda: (
            f"embedded {_certificate('erasure_certificates')}; "
            f"on servers {_certificate('erasure_certificates_servers')}"
        ),
        ("erasure_certificates", "erasure_certificates_servers"),
        ("erasure_certificates.png", "erasure_certificates_servers.png"),
    ),
    (
        "readers of Chroma's database shut out, at a stretch, while its 100 MB are cleaned",
        lambda: (
            f"{_shut_out('maintenance')} s at most; by a VACUUM {_shut_out('vacuum')} s; "
            f"with nothing beside {_shut_out('nothing')} s"
        ),
        ("erasure_stall",),
        (),
    ),
    (
        "the worst list beside cleanings of 100 MB without a rest; goal: 0.25 s",
        lambda: (
            f"{_worst_lists('maintenance')}; with nothing beside {_worst_lists('nothing')}; "
            f"beside a VACUUM {_worst_lists('vacuum')}"
        ),
        ("erasure_stall",),
        ("erasure_stall.png",),
    ),
    (
        "ten million users on nodes by rendezvous hashing of shards",
        lambda: (
            f"fullest of 4 over mean {_laid(64, 4, 'fullest_over_mean'):.2f} with 64 shards, of "
            f"16 {_laid(1_024, 16, 'fullest_over_mean'):.2f} with 1,024; a fifth node moves "
            f"{100 * _laid(64, 4, 'moved_share'):.0f} %"
        ),
        ("shard_map",),
        (),
    ),
    (
        "scrub, flush, vacuum and probe by the size of a shard",
        lambda: (
            f"probe {at('erasure_shards', 'rows', -1, 'median_s', 'probe'):.1f} s over "
            f"{at('erasure_shards', 'rows', -1, 'memories'):,} memories"
        ),
        ("erasure_shards",),
        ("erasure_shards.png",),
    ),
    ("reading one user's memories", _own_memory, ("own_memory",), ("own_memory.png",)),
    (
        "vectors that were left over, read without the key: share found by the nearest item",
        lambda: (
            f"{at('inversion', 'stores', 'one rotation a record', 'nearest'):.3f} turned, "
            f"{at('inversion', 'stores', 'plain', 'nearest'):.3f} plain, "
            f"{at('inversion', 'chance'):.3f} by chance"
        ),
        ("inversion",),
        ("inversion.png",),
    ),
    (
        "forgetting a user in the recommender's memory",
        lambda: (
            f"{at('neighbours', 'forget_one', 'forget_wall_ms', 'p50'):.2f} ms on ML-1M, "
            "state equal to a rebuild's in "
            f"{at('neighbours', 'forget_one', 'hash_equal_to_rebuild')}"
        ),
        ("neighbours", "neighbours_scaling"),
        ("forget.svg",),
    ),
    (
        "what the recommender holds in memory, 60,000 items and 14 pairs a user",
        lambda: "; ".join(map(_held, at("neighbours_host", "lists"))),
        ("neighbours_host",),
        (),
    ),
    (
        "NDCG@10 before and after a tenth of the users left, on MovieLens",
        lambda: (
            f"ML-100K: Lethe {_ndcg('ml-100k', 'service')}, "
            f"EASE {_ndcg('ml-100k', 'ease')}, LightGCN {_ndcg('ml-100k', 'lightgcn')}; "
            f"ML-1M: {_ndcg('ml-1m', 'service')}, {_ndcg('ml-1m', 'ease')}, "
            f"{_ndcg('ml-1m', 'lightgcn')}"
        ),
        ("quality_ml-100k", "quality_ml-1m"),
        ("quality.svg",),
    ),
    (
        "NDCG@10 of the lists that a caller gets: of what they liked, of all that they chose",
        lambda: f"MovieLens 100K {_served('ml-100k')}; 1M {_served('ml-1m')}",
        ("quality_served_ml-100k", "quality_served_ml-1m", "quality_opinions", "quality_recency"),
        ("served.svg",),
    ),
    (
        "NDCG@10 of the next liked item of somebody who is at it, MovieLens 100K",
        lambda: ", ".join(
            f"{name} {at('quality_next_item', 'test', 'arms', name, 'ndcg_liked', 'mean'):.3f}"
            for name in ("list", "session kNN", "item transitions", "EASE")
        ),
        ("quality_next_item",),
        (),
    ),
    (
        "what was tried to rank better than EASE, and EASE on the head of a large catalogue",
        lambda: "tables, in the files",
        ("quality_beyond", "quality_head"),
        (),
    ),
    (
        "recommendations around forgets: answers that rest on what was forgotten",
        lambda: (
            f"{at('race', 'broken_after_the_202')} of {at('race', 'recommendations'):,} around "
            f"{at('race', 'forgets')} forgets; {at('processes', 'answers', 'broken')} of "
            f"{at('processes', 'recommendations'):,} by {at('processes', 'processes')} processes, "
            "one killed, one asleep"
        ),
        ("race", "processes"),
        (),
    ),
    (
        "erasures while everything under them breaks",
        lambda: (
            f"{at('chaos', 'completed_once'):,} of {at('chaos', 'distinct_request_ids'):,} "
            f"completed once, {at('chaos', 'completed_twice_or_more')} twice"
        ),
        ("chaos",),
        ("chaos.png",),
    ),
    (
        "mixed requests a second to the whole layout on two cores, of 160 offered",
        lambda: (
            f"{_carried('1')}, {_carried('2')}, {_carried('4')} answered with 1, 2, 4 API "
            f"processes; lists at 60 a second with 2: {_at_a_rate(60)}"
        ),
        ("load",),
        ("load.png",),
    ),
    (
        "certificates a minute of 50 asked for at once, by Chroma servers",
        lambda: (
            f"{_a_minute('a_minute')}, all on two cores; **computed**, were each node a machine "
            f"of its own: {_a_minute('computed_a_minute')}"
        ),
        ("erasure_nodes",),
        ("erasure_nodes.png",),
    ),
    (
        "PostgreSQL's files cleaned after erasures: the longest wait of a reader, by users",
        lambda: (
            f"of {_filled()} users: {_waited('now', 'one_person')} in the partition of one person "
            f"erased, {_waited('now', 'one_person', reader=1)} in another, "
            f"{_waited('now', 'batch')} with 50 erased; "
            f"{_waited('before', 'one_person')} before, with whole tables"
        ),
        ("erasure_rewrite",),
        ("erasure_rewrite.png",),
    ),
    (
        "each service restarted in turn under load: requests unanswered, erasures lost",
        lambda: _disturbed("load_restarts"),
        ("load_restarts",),
        (),
    ),
    (
        "the same while they are killed and frozen, Redis emptied, PostgreSQL cut off",
        lambda: _disturbed("load_faults"),
        ("load_faults",),
        (),
    ),
    (
        "half an hour of mixed traffic to all services on two busy cores",
        lambda: (
            f"{at('load_soak', 'erasures', 'completed')} of "
            f"{at('load_soak', 'erasures_accepted')} erasures completed; the API holds "
            f"{at('load_soak', 'memory_mib', 'api', 'after_warm_up'):.0f} MiB at first and "
            f"{at('load_soak', 'memory_mib', 'api', 'last'):.0f} at last"
        ),
        ("load_soak",),
        (),
    ),
    (
        "people of one list suppressed, and certified after two minutes",
        lambda: (
            f"{at('erasure_many', 'n_people'):,} in {at('erasure_many', 'suppressed_s'):.0f} s; "
            f"{at('erasure_many', 'n_certified')}"
        ),
        ("erasure_many",),
        (),
    ),
    (
        "a list while Chroma is frozen, a receipt while Redis is: the longest wait",
        lambda: (
            f"{at('frozen', 'list_with_chroma_frozen', 'first', 'worst_s'):.1f} s, then "
            f"{1_000 * at('frozen', 'list_with_chroma_frozen', 'those_after_it', 'worst_s'):.0f} "
            f"ms; {at('frozen', 'receipt_with_redis_frozen', 'worst_s'):.1f} s"
        ),
        ("frozen",),
        (),
    ),
    ('forgetting the topic "Star Wars"', _topic, ("topic",), ()),
    (
        "sending again what was erased",
        lambda: (
            f"{at('replay', 'after', 'refused'):,} of {at('replay', 'loaded'):,} refused, "
            f"{at('replay', 'rows_that_name_them')} rows came back"
        ),
        ("replay",),
        (),
    ),
    (
        "methods that unlearn beside ours, on one split without leaks",
        lambda: (
            f"exact, with {_faster('ml-100k')} times less processor a request than the next "
            f"exact one on ML-100K, {_faster('ml-1m')} times on ML-1M: [benchmark.md](benchmark.md)"
        ),
        (),
        ("unlearning_ml100k.svg", "unlearning_ml1m.svg"),
    ),
    (
        "ranking in one pass of a language model, beside written answers",
        _speed_up,
        ("llm_speed", "llm_many", "llm_budget"),
        ("llm_speed.png",),
    ),
    (
        "a small real model by what people did last: NDCG@10 without it, and what it adds",
        lambda: f"demo: {_regimes('demo')}; ML-100K: {_regimes('ml-100k')}",
        ("llm_regimes_demo", "llm_regimes_ml-100k"),
        ("llm_regimes.png",),
    ),
    (
        "a list that it ranks, on two cores: p50 and p95, for the first time and again",
        lambda: "; ".join(f"{form} {_timed(form)}" for form in ("query", "titles", "label")),
        ("llm_times",),
        ("llm_times.png",),
    ),
    (
        "an attacker's title on the real model, places of 20 up in the mean",
        lambda: "; ".join(
            f"{form}: orders {_moved(form, 'order')}, the taste copied "
            f"{_moved(form, 'copies the taste')}"
            for form in ("label", "titles", "query")
        ),
        ("llm_injection",),
        ("llm_injection.png",),
    ),
    (
        "prompts of others, or forgotten ones, in vLLM's cache: tokens reused",
        lambda: (
            f"{at('llm_isolation', 'cached_tokens', 'after_forget'):.0f} after a forget, "
            f"{at('llm_isolation', 'cached_tokens', 'new'):.0f} by a new user"
        ),
        ("llm_isolation",),
        ("llm_isolation.png",),
    ),
    (
        "tampering with a certificate and a log: changes that the verifier missed",
        lambda: f"{missed()} of {tampered():,}",
        ("audit_tamper", "audit", "audit_appenders"),
        ("audit.png",),
    ),
    (
        "the embedder that ships with Lethe, beside the model it was made from",
        lambda: (
            f"hit@10 {at('embedder', 'quality', 'static int8 (shipped)', 'hit_at_10'):.2f}, "
            f"MiniLM {at('embedder', 'quality', 'MiniLM itself', 'hit_at_10'):.2f}; "
            f"{at('embedder', 'speed', 'static int8 (shipped)', 'texts_per_s'):,} texts/s, "
            f"MiniLM {at('embedder', 'speed', 'MiniLM itself', 'texts_per_s'):,}"
        ),
        ("embedder",),
        (),
    ),
)
