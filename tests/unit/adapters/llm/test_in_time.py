"""How much a model is shown follows the time that there is, and what its server takes."""

from __future__ import annotations

from math import inf

import pytest

from app.adapters.llm.prompts import Prompting, Shown, load_template
from app.adapters.llm.rates import Pace, TokenRate, n_affordable
from app.domain.errors import DependencyUnavailableError
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import LABELS, AnswerForm, ShownMemory
from app.ports.ranker import RankingTask


class Clock:
    """Stands still between two calls."""

    now_s = 100.0

    def wait_in_vain(self, seconds: float) -> None:
        self.now_s += seconds
        raise DependencyUnavailableError("no answer")

    def __call__(self) -> float:
        return self.now_s


def prompting(token_s: float) -> Prompting:
    """Return the sizes for a server that takes so many seconds for a token."""
    clock = Clock()
    made = Prompting(load_template("en"), memory_tokens=800, label_batch=52, pace=Pace(clock))
    clock.now_s += 1000 * token_s
    made.pace.learn(1000, since_s=100.0)
    return made


def task(n_candidates: int, *, timeout_s: float = 2.0) -> RankingTask:
    items = [
        Item(ItemId(f"i{n}"), f"Title {n}", "A long description of it. " * 3)
        for n in range(n_candidates)
    ]
    memories = [ShownMemory(Kind.LIKE, item) for item in items[:5]]
    return RankingTask(memories, items, "0" * 64, 0, timeout_s)


def in_time(one: Prompting, task: RankingTask) -> Shown:
    return one.shown(
        task.memories,
        task.candidates,
        ask=one.template.ask_label,
        budget=one.pace.units_in(task.timeout_s),
    )


def test_nothing_is_left_out_before_anything_was_learned_or_on_a_fast_server() -> None:
    fresh = Prompting(load_template("en"), memory_tokens=800, label_batch=52)

    for one in (fresh, prompting(0.0001)):
        shown = in_time(one, task(50))
        assert len(shown.candidates) == 50
        assert shown.limits == one.limits
        assert one.memory_budget(timeout_s=2.0) == 800


def test_bare_titles_come_before_fewer_candidates_and_two_are_the_least() -> None:
    counts = []
    for token_s in (0.0005, 0.001, 0.0025, 0.02, 1.0):
        shown = in_time(prompting(token_s), task(50))
        counts.append((len(shown.candidates), shown.limits.details_chars > 0))

    assert counts[0] == (50, True)
    assert (50, False) in counts
    assert counts[-1] == (2, False)
    assert [n for n, _ in counts] == sorted((n for n, _ in counts), reverse=True)


@pytest.mark.parametrize("token_s", [0.0005, 0.001, 0.0025])
def test_what_is_shown_can_be_read_in_time(token_s: float) -> None:
    one, wanted = prompting(token_s), task(50)
    shown = in_time(one, wanted)

    prompt = one.ranking(shown, shown.candidates, seed=0, form=AnswerForm.LABEL, labels=LABELS)

    assert one.size(prompt) * token_s < wanted.timeout_s


def test_memories_get_a_third_of_the_time_by_halves() -> None:
    budgets = [prompting(one).memory_budget(timeout_s=2.0) for one in (0.0005, 0.001, 0.0011, 0.01)]

    assert budgets == [800, 400, 400, 50]


def test_a_call_that_was_given_up_shows_fewer_the_next_time_and_a_refused_one_does_not() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.learn(100, since_s=99.0)
    usual = pace.units_in(2.0)

    with pytest.raises(DependencyUnavailableError), pace.waiting(100):
        clock.wait_in_vain(0)
    refused = pace.units_in(2.0)
    with pytest.raises(DependencyUnavailableError), pace.waiting(100):
        clock.wait_in_vain(20)

    assert refused == usual
    assert pace.units_in(2.0) < usual / 2


def test_a_server_that_was_thought_three_times_too_fast_answers_after_two_in_vain() -> None:
    """Three would open the breaker."""
    clock, token_s, timeout_s = Clock(), 0.003, 2.0
    pace = Pace(clock)
    clock.now_s += 1
    pace.learn(1000, since_s=100.0)

    in_vain = 0
    while (n_tokens := pace.units_in(timeout_s)) * token_s > timeout_s:
        with pytest.raises(DependencyUnavailableError), pace.waiting(n_tokens):
            clock.wait_in_vain(timeout_s)
        in_vain += 1

    assert in_vain == 2


def test_a_probe_s_words_say_nothing_of_what_people_s_words_cost() -> None:
    rate = TokenRate()
    before = rate.tokens("Dostoyevsky")

    with rate.unchanged():
        rate.learn(["word " * 100], n_tokens=100)
    after = rate.tokens("Dostoyevsky")
    rate.learn(["Dostoyevsky"], n_tokens=7)

    assert after == before
    assert rate.tokens("Dostoyevsky") == 7


def test_two_candidates_are_always_affordable() -> None:
    assert n_affordable([10, 10, 10], budget=0) == 2
    assert n_affordable([10, 10, 10, 10], budget=30) == 3
    assert n_affordable([10, 10], budget=inf) == 2


def test_each_kind_of_text_has_a_rate_and_a_list_of_either_spoils_not_the_other() -> None:
    rate, plain, dense = TokenRate(), "A quiet book of the sea " * 20, "\u9be8\u306e\u672c" * 60
    for _ in range(40):
        rate.learn([plain, dense], n_tokens=len(plain) // 5 + len(dense) * 2)
        rate.learn([plain], n_tokens=len(plain) // 5)

    assert rate.tokens(plain) == pytest.approx(len(plain) / 5, rel=0.1)
    assert rate.tokens(dense) == pytest.approx(len(dense) * 2, rel=0.1)


def test_a_refused_text_counts_for_more_until_each_byte_is_a_token() -> None:
    rate, text = TokenRate(), "1984 \u9be8"
    rate.learn([text * 10], n_tokens=10)
    thought = [rate.tokens(text)]
    while rate.refused():
        thought.append(rate.tokens(text))

    assert thought == sorted(thought)
    assert thought[-1] == len(text.encode())
    assert len(thought) < 12


def test_memories_get_a_third_of_the_smallest_context() -> None:
    one = Prompting(load_template("en"), memory_tokens=800, label_batch=52)
    one.contexts["a"] = 512
    assert one.memory_budget(timeout_s=2.0) == 100

    one.contexts["b"] = 300
    assert one.memory_budget(timeout_s=2.0) == 50
