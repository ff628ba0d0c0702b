"""The compiled functions do what their Python twins do, to the byte, whatever comes in whatever order."""

from collections.abc import Callable
from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys import compiled, frequency, profile, repeats, sequences
from schemas.customer import Customer, SequenceMemory
from schemas.events import Event
from schemas.instants import DAY_MS, MINUTE_MS, Millis

pytestmark = pytest.mark.skipif(not compiled.IS_COMPILED, reason="nothing is compiled here")

NOW = 1_774_051_200_000
_encode = msgspec.msgpack.Encoder().encode

# Back and forth, by what decides: nothing, 1 ms, around the gap of a session, a day.
GAPS = (0, 1, 1000, 30 * MINUTE_MS - 1, 30 * MINUTE_MS, 30 * MINUTE_MS + 1, DAY_MS - 1, DAY_MS, -1, -1000, -DAY_MS)
INSTANTS = st.lists(st.sampled_from(GAPS), min_size=1, max_size=90).map(
    lambda gaps: [NOW + sum(gaps[: index + 1]) for index in range(len(gaps))]
)


def _events() -> st.SearchStrategy[list[tuple[Millis, str, str, str | None, float]]]:
    one = st.tuples(
        st.sampled_from(GAPS),
        st.sampled_from(("page_viewed", "product_viewed", "signup", "email_opened", "screen_viewed")),
        st.sampled_from(("behavioral", "behavioral", "behavioral", "engagement", "crm")),
        st.sampled_from((None, None, "s1", "s2")),
        st.sampled_from((0.0, 1.0, 2.5, -20.0, 1e300, inf)),
    )
    return st.lists(one, max_size=60)


@given(_events(), st.sampled_from((1.0, 3_600_000.0, 1e12)), st.booleans())
def test_observing(drawn: list[tuple[Millis, str, str, str | None, float]], half_life_ms: float, stored: bool) -> None:  # noqa: FBT001
    """After every event the two states are the same bytes, also where a state was stored between."""
    one, other, at = Customer(customer_id="c"), Customer(customer_id="c"), NOW
    for gap, event_type, stream, session_id, weight in drawn:
        at += gap
        event = Event(event_id="e", type=event_type, occurred_at=at, stream=stream, session_id=session_id)  # type: ignore[arg-type]  # drawn among the streams
        given_back = [
            observe(customer, event, weight, half_life_ms, max(at, NOW))
            for observe, customer in ((compiled.observe, one), (profile.observe, other))
        ]
        assert given_back[0] is given_back[1]
        assert _encode(one) == _encode(other)
        if stored:
            one = msgspec.msgpack.decode(_encode(one), type=Customer)


@given(
    st.lists(
        st.tuples(st.integers(0, 80), st.sampled_from((0, 1, 1000, DAY_MS // 40, DAY_MS - 1, DAY_MS, 60 * DAY_MS))),
        max_size=200,
    )
)
def test_repeats(drawn: list[tuple[int, Millis]]) -> None:
    """The same ids are known, in the same order, and forgotten together."""
    one, other = Customer(customer_id="c"), Customer(customer_id="c")
    now = NOW
    for number, gap in drawn:
        now += gap
        # The bytes of one of these stand in others too, between two entries.
        identity = number * 2**56 + number
        assert compiled.seen_before(one, identity, now) is repeats.seen_before(other, identity, now)
        assert one.seen == other.seen


@given(INSTANTS, st.integers(1, 5), st.sampled_from((1, 1000, 30 * MINUTE_MS, DAY_MS)))
def test_counting(instants: list[Millis], wanted: int, window_ms: int) -> None:
    """The same windows are raised."""
    one: list[Millis] = []
    other: list[Millis] = []
    for at in instants:
        raises = compiled.count_raises(one, at, window_ms, wanted, None)
        assert raises is frequency.count_raises(other, at, window_ms, wanted, None)
        assert one == other


@given(
    instants=INSTANTS,
    bits=st.lists(st.integers(1, 15), min_size=90, max_size=90),
    length=st.integers(1, 3),
    within_ms=st.sampled_from((None, 1, 30 * MINUTE_MS, DAY_MS)),
    strict=st.booleans(),
)
def test_sequences(
    instants: list[Millis], bits: list[int], length: int, within_ms: Millis | None, *, strict: bool
) -> None:
    """The same events complete a sequence, and what is remembered of it and of the timeline is the same."""
    sequence = sequences.compile_sequence(
        [(name, None) for name in "abc"[:length]], strict=strict, within_ms=within_ms, unless_event="d"
    )
    one, other = SequenceMemory(), SequenceMemory()
    timelines: tuple[list[int], list[int]] = ([], [])
    for at, drawn in zip(instants, bits, strict=False):
        those = drawn & (2 ** (length + 1) - 1) or 1
        places = compiled.add_place(timelines[0], at), sequences.add_place(timelines[1], at)
        assert places[0] == places[1]
        if strict:
            completes = compiled.advance_strict(one, sequence, places[0], those, timelines[0])
            assert completes is sequences.advance_strict(other, sequence, places[1], those, timelines[1])
        else:
            completes = compiled.advance_relaxed(one, sequence, at, those)
            assert completes is sequences.advance_relaxed(other, sequence, at, those)
        assert _encode(one) == _encode(other)
        assert timelines[0] == timelines[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: compiled.observe("c", "e", 1.0, 1.0, 1),  # type: ignore[arg-type]  # what a caller must not pass
        lambda: compiled.seen_before([], 1, 1),  # type: ignore[arg-type]  # likewise
        lambda: compiled.add_place(None, 1),  # type: ignore[arg-type]  # likewise
        lambda: compiled.count_raises(None, 1, 1, 1, None),  # type: ignore[arg-type]  # likewise
    ],
)
def test_what_a_twin_would_refuse(call: Callable[[], object]) -> None:
    """A wrong argument raises what the twin raises."""
    with pytest.raises((AttributeError, TypeError)):
        call()
