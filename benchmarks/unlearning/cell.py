"""One cell of the tables: a method on a backbone in a scenario."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from inspect import getsourcefile
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.unlearning.compare import Facts, Four, compare
from benchmarks.unlearning.lists import Doubles
from benchmarks.unlearning.observe import Lens, Observed
from benchmarks.unlearning.protocol import Interactions, Method, Setup, System
from benchmarks.unlearning.scenarios import Scenario
from benchmarks.unlearning.shared_fits import shared_fits
from benchmarks.unlearning.world import World

_LADDER: Final = (1000, 300, 100, 30, 10, 4)
_OTHER_SEEDS: Final = (1000, 2000)
_HERE: Final = Path(__file__).parent
_SHARED: Final = (
    "data.py",
    *(f"quality/{name}.py" for name in ("metrics", "models", "neural")),
    *(
        f"unlearning/{name}.py"
        for name in ("attacks", "closed", "lists", "observe", "trained", "world")
    ),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a scenario is run, so that costly methods come to an end.

    Args:
        requests_s: processor seconds for timing single requests, each with a fresh copy; at
            least three are timed.
        observed: requests of a one-user scenario that are compared with retraining.
        stream_s: processor seconds for a stream; fewer requests where one takes too long.
        checkpoints: how often a stream is compared with retraining at most, evenly spread, and
            once for every five requests.
    """

    requests_s: float
    observed: int
    stream_s: float
    checkpoints: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that requests took."""

    cpu: list[float]
    wall: list[float]

    def time(self, system: System, gone: Interactions) -> None:
        """Let ``system`` forget, and note how long it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        system.forget(gone)
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)

    def facts(self) -> Facts:
        """Return quantiles in seconds."""
        return {"requests": len(self.cpu), "cpu_s": _spread(self.cpu), "wall_s": _spread(self.wall)}


class Bench:
    """A method on a backbone of a data set, with one seed.

    Args:
        world: the data set.
        method: what is measured.
        reference: whose refit it is measured against.
        setup: with the chosen settings; its seed is the original's.
        cache: folder of retrained systems' answers, which do not depend on the method, and of
            fits.
    """

    def __init__(
        self, world: World, *, method: Method, reference: Method, setup: Setup, cache: Path
    ) -> None:
        self.world, self.method, self.setup = world, method, setup
        self._reference, self._cache = reference, cache
        self._fitted: tuple[Interactions, System, float] | None = None

    def measure(self, scenario: Scenario, limits: Limits) -> Facts:
        """Run the scenario; return its figures."""
        original, fit_cpu_s = self.original(scenario.train)
        run = {"one": self._one, "batch": self._batch, "stream": self._stream}[scenario.kind]
        timing = Timing([], [])
        facts = run(scenario, original, timing, limits)
        return {**facts, "time": timing.facts(), "fit_cpu_s": fit_cpu_s}

    def original(self, train: Interactions) -> tuple[System, float]:
        """Return the system that was fitted on everything, and how long that took."""
        if self._fitted is None or self._fitted[0] is not train:
            system = self.method.make(self._setup_for(train))
            with shared_fits(self._cache / "fits") as shared:
                cpu_s = _timed_fit(system, train)
            self._fitted = (train, system, cpu_s + shared.spared_s)
        return self._fitted[1], self._fitted[2]

    def _one(self, scenario: Scenario, original: System, timing: Timing, limits: Limits) -> Facts:
        found, spent = [], 0.0
        for at, gone in enumerate(scenario.requests):
            if at >= max(3, limits.observed) and spent > limits.requests_s:
                break
            begun = time.process_time()
            system = deepcopy(original)
            timing.time(system, gone)
            spent += time.process_time() - begun
            if at < limits.observed:
                lens = Lens.of(self.world, train=scenario.train, gone=gone)
                four = self._four(lens, original, system)
                found.append({**compare(lens, scenario, four), **_kept(system)})
        return {"by_request": found, **found[-1]}

    def _batch(
        self,
        scenario: Scenario,
        original: System,
        timing: Timing,
        limits: Limits,  # noqa: ARG002 - one request is run whole
    ) -> Facts:
        system = deepcopy(original)
        timing.time(system, scenario.requests[0])
        lens = Lens.of(self.world, train=scenario.train, gone=scenario.requests[0])
        four = self._four(lens, original, system)
        return {**compare(lens, scenario, four), **_kept(system)}

    def _stream(
        self, scenario: Scenario, original: System, timing: Timing, limits: Limits
    ) -> Facts:
        system = deepcopy(original)
        for gone in scenario.requests[:3]:
            timing.time(system, gone)
        each = float(np.mean(timing.cpu))
        n = next((n for n in _LADDER if n * each <= limits.stream_s), _LADDER[-1])
        n = min(n, len(scenario.requests))
        count = max(1, min(limits.checkpoints, n // 5))
        shares = (np.arange(count) + 1) / count
        stops = {max(3, round(n * share)) for share in shares.tolist()}
        found = []
        for at in range(2, n):
            if at > 2:
                timing.time(system, scenario.requests[at])
            if at + 1 in stops:
                gone = scenario.gone(until=at + 1)
                lens = Lens.of(self.world, train=scenario.train, gone=gone)
                four = self._four(lens, original, system)
                found.append({"after": at + 1, **compare(lens, scenario, four), **_kept(system)})
        return {"checkpoints": found, **found[-1]}

    def _four(self, lens: Lens, original: System, system: System) -> Four:
        retrained, again = (self._retrained(lens, shift=shift) for shift in _OTHER_SEEDS)
        return Four(lens.look(original), lens.look(system), retrained, again)

    def _retrained(self, lens: Lens, *, shift: int) -> Observed:
        setup = replace(self._setup_for(lens.left), seed=self.setup.seed + shift)
        if self._reference.name != self.method.name:
            setup = replace(setup, setting={})
        what = (
            self.world.dataset.name,
            self._reference.name,
            setup.backbone,
            sorted(setup.backbone_setting.items()),
            sorted(setup.setting.items()),
            setup.seed,
            sha256(lens.left.keys.tobytes()).hexdigest(),
            sha256(lens.gone.keys.tobytes()).hexdigest(),
            _code(self._reference),
        )
        path = self._cache / f"{sha256(repr(what).encode()).hexdigest()[:32]}.npz"
        if path.exists():
            return Observed.read(path)
        system = self._reference.make(setup)
        observed = lens.look(system, fit_cpu_s=_timed_fit(system, lens.left))
        observed.save(path)
        return observed

    def _setup_for(self, train: Interactions) -> Setup:
        valid = self.setup.valid
        padded = Interactions(valid.users, valid.items, train.n_users, train.n_items)
        return replace(self.setup, valid=padded)


def _code(reference: Method) -> str:
    """Return a hash of the code that a retrained system and what is seen of it depend on."""
    make = reference.make.func if isinstance(reference.make, partial) else reference.make
    files = [Path(getsourcefile(make) or ""), *(_HERE.parent / name for name in _SHARED)]
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _timed_fit(system: System, train: Interactions) -> float:
    begun = time.process_time()
    system.fit(train)
    return time.process_time() - begun


def _kept(system: System) -> Facts:
    return {
        "state_bytes": system.state_bytes(),
        "personal_data_in_weights": system.personal_data_in_weights(),
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    found: Doubles = np.quantile(seconds, [0.5, 0.95, 0.99, 1.0])
    return dict(zip(("p50", "p95", "p99", "max"), found.tolist(), strict=True))
