"""The due index against a dictionary that is searched anew each time."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.instants import Millis
from tables.due import DueIndex

KEYS = (b"a", b"b", b"c")
deadlines = st.none() | st.integers(0, 8)
changes = st.tuples(st.just("set"), st.sampled_from(KEYS), deadlines)
fills = st.tuples(st.just("fill"), st.dictionaries(st.sampled_from(KEYS), st.integers(0, 8)), st.none())
bounds = st.tuples(st.just("first"), st.integers(-1, 9), st.integers(1, 4))
questions = st.tuples(st.just("ask"), st.integers(-1, 9), st.none())


def soonest(model: dict[bytes, Millis], until: Millis) -> tuple[Millis, bytes] | None:
    due = sorted((at, key) for key, at in model.items() if at <= until)
    return due[0] if due else None


@given(st.lists(changes | fills | questions | bounds, max_size=40))
def test_it_answers_like_a_search_through_all_deadlines(script: list[tuple[str, object, object]]) -> None:
    index, model = DueIndex(), dict[bytes, Millis]()
    for what, first, second in script:
        if what == "ask" and isinstance(first, int):
            assert index.next_due(first) == soonest(model, first)
            assert index.count_due(first) == sum(at <= first for at in model.values())
        elif what == "first" and isinstance(first, int) and isinstance(second, int):
            due = sorted(at for at in model.values() if at <= first)
            assert index.first_due(second, first) == (due[second - 1] if len(due) >= second else first)
        elif what == "fill" and isinstance(first, dict):
            index.fill(first)
            model = dict(first)
        elif isinstance(first, bytes) and (second is None or isinstance(second, int)):
            index.set(first, second)
            model.pop(first, None)
            model |= {} if second is None else {first: second}
        assert len(index) == len(model)
    while (entry := soonest(model, 9)) is not None:
        assert index.next_due(9) == entry
        del model[entry[1]]
        index.set(entry[1], None)
    assert index.next_due(9) is None


def test_what_is_due_stays_until_its_deadline_is_set_anew() -> None:
    index = DueIndex()
    index.set(b"a", 5)
    assert index.next_due(4) is None
    assert index.next_due(5) == index.next_due(5) == (5, b"a")
    index.set(b"a", 6)
    assert index.next_due(5) is None
    assert index.next_due(6) == (6, b"a")


def test_a_deadline_put_off_a_million_times_holds_one_entry() -> None:
    index = DueIndex()
    for at in range(1_000_000):
        index.set(b"a", at)
    assert len(index._heap) == 1
    assert index.next_due(2_000_000) == (999_999, b"a")
