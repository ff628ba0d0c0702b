"""Triggers in event time, against references that keep everything, search all of it, and share no code with the rules.

The reference is told what arrived, in order, and answers for each arrival whether it fires. Instants are few, so that
boundaries and ties are common; arrivals are in any order.
"""

from collections.abc import Callable
from itertools import combinations

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from journeys.frequency import SPARE_FOR_LATE_EVENTS
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import Document, Journey, absence, after, frequency, score, sequence, session, silence, workflow

thorough = settings(max_examples=300)
TYPES = ("a", "b", "c", "email_opened")
HORIZON = 2 * HOUR_MS


class Seen(Struct, frozen=True, eq=False):
    """What has arrived: its type, when it occurred, and as the how many-th it arrived."""

    type: str
    at: Millis
    number: int

    @property
    def place(self) -> tuple[Millis, int]:
        return self.at, self.number


Fires = Callable[[list[Seen], Seen], bool]


def numbers(*kept: int) -> st.SearchStrategy[int]:
    return st.sampled_from(kept)


def arrivals(
    types: tuple[str, ...] = TYPES, most: int = 16, spacing: Millis = MINUTE_MS
) -> st.SearchStrategy[list[Seen]]:
    """Draw events of few types and instants, in any order of arrival."""
    event = st.tuples(st.sampled_from(types), st.integers(0, 24), st.sampled_from((-1, 0, 0, 0, 0, 1)))
    return st.lists(event, max_size=most).map(
        lambda drawn: [
            Seen(type_, max(0, at * spacing + nudge), number) for number, (type_, at, nudge) in enumerate(drawn)
        ]
    )


def in_order(history: list[Seen]) -> list[Seen]:
    return [Seen(seen.type, seen.at, number) for number, seen in enumerate(sorted(history, key=lambda one: one.at))]


def fired(trigger: Document, history: list[Seen], *others: Document) -> list[int]:
    """Publish a history, everything after it has occurred, and say which arrivals fired the trigger."""
    journey = Journey(workflow(on=[trigger], allow_multiple_executions=True), *others)
    found = []
    for seen in history:
        before = len(journey.decisions("trigger_fired"))
        journey.publish(seen.type, seen.at, arrives=HORIZON)
        found += [seen.number] * (len(journey.decisions("trigger_fired")) - before)
    return found


def expected(history: list[Seen], fires: Fires) -> list[int]:
    return [seen.number for index, seen in enumerate(history) if fires(history[: index + 1], seen)]


# Sequences ----------------------------------------------------------------------------------------------------


class Pattern(Struct, frozen=True):
    """A sequence as it is drawn."""

    items: tuple[str, ...]
    within: Millis | None
    unless: str | None

    def trigger(self, contiguity: str) -> Document:
        conditions: Document = {"contiguity": contiguity}
        if self.within is not None:
            conditions["within_minutes"] = self.within / MINUTE_MS
        if self.unless is not None:
            conditions["unless_event"] = self.unless
        return sequence(*self.items, where=None, rest=None, **conditions)

    def is_match(self, events: tuple[Seen, ...], everything: list[Seen]) -> bool:
        """Tell whether events in order are a match, whatever else stands between but what must not."""
        first, last = events[0], events[-1]
        if tuple(seen.type for seen in events) != self.items:
            return False
        if self.within is not None and last.at - first.at >= self.within:
            return False
        return not any(first.place < seen.place < last.place and seen.type == self.unless for seen in everything)


patterns = st.builds(
    Pattern,
    st.lists(st.sampled_from(TYPES), min_size=1, max_size=4).map(tuple),
    st.sampled_from((None, None, MINUTE_MS, 3 * MINUTE_MS, 10 * MINUTE_MS)),
    st.sampled_from((None, None, *TYPES)),
)


def strict(pattern: Pattern) -> Fires:
    """It fires if, among the neighbours in event time, the new event is part of a match."""

    def fires(everything: list[Seen], new: Seen) -> bool:
        counted = [seen for seen in everything if seen.type != "email_opened" or "email_opened" in pattern.items]
        counted.sort(key=lambda seen: seen.place)
        size = len(pattern.items)
        runs = (tuple(counted[start : start + size]) for start in range(len(counted) - size + 1))
        return any(new in run and pattern.is_match(run, everything) for run in runs)

    return fires


def relaxed(pattern: Pattern) -> Fires:
    """It fires if any choice of the events behind the last match is a match; the one that ends first ends the search."""
    behind = [(-1, -1)]

    def fires(everything: list[Seen], new: Seen) -> bool:
        del new
        live = sorted((seen for seen in everything if seen.place > behind[0]), key=lambda seen: seen.place)
        chosen = combinations([seen for seen in live if seen.type in pattern.items], len(pattern.items))
        ends = [events[-1].place for events in chosen if pattern.is_match(events, live)]
        if ends:
            behind[0] = min(ends)
        return bool(ends)

    return fires


@thorough
@given(pattern=patterns, history=arrivals())
def test_a_strict_sequence_fires_where_the_event_completes_a_run_of_neighbours(
    pattern: Pattern, history: list[Seen]
) -> None:
    assert fired(pattern.trigger("strict"), history) == expected(history, strict(pattern))


@thorough
@given(pattern=patterns, history=arrivals(most=14))
def test_a_relaxed_sequence_fires_where_any_choice_of_events_is_a_match(pattern: Pattern, history: list[Seen]) -> None:
    assert fired(pattern.trigger("relaxed"), history) == expected(history, relaxed(pattern))


@settings(max_examples=30)
@given(pattern=patterns, history=arrivals(("a", "b"), most=60, spacing=MINUTE_MS))
def test_in_order_sequences_are_exact_however_many_events_there_are(pattern: Pattern, history: list[Seen]) -> None:
    assume(len(pattern.items) < 4)
    ordered = in_order(history)
    assert fired(pattern.trigger("strict"), ordered) == expected(ordered, strict(pattern))
    assert fired(pattern.trigger("relaxed"), ordered) == expected(ordered, relaxed(pattern))


# Counts -------------------------------------------------------------------------------------------------------


class Count(Struct, frozen=True):
    """A number of events in a window."""

    wanted: int
    window: Millis

    def is_reached(self, everything: list[Seen], new: Seen) -> bool:
        """Tell whether the new event raised a window that ends with it or with a later one to the number."""
        ends = {seen.at for seen in everything if new.at <= seen.at < new.at + self.window}
        return any(sum(end - self.window < seen.at <= end for seen in everything) == self.wanted for end in ends)

    def trigger(self) -> Document:
        return frequency("a", self.wanted, self.window / MINUTE_MS)


counts = st.builds(Count, st.integers(1, 6), numbers(1, MINUTE_MS, 3 * MINUTE_MS, 10 * MINUTE_MS))


@thorough
@given(count=counts, history=arrivals(("a",), 28))
def test_a_count_fires_where_the_event_raises_a_window_to_exactly_the_number(count: Count, history: list[Seen]) -> None:
    history = history[: 2 * count.wanted + SPARE_FOR_LATE_EVENTS]
    assert fired(count.trigger(), history) == expected(history, count.is_reached)


@thorough
@given(wanted=st.integers(1, 6), history=arrivals(("a",), 120))
def test_a_count_in_a_burst_is_exact_however_many_events_there_are(wanted: int, history: list[Seen]) -> None:
    count = Count(wanted, 25 * MINUTE_MS)
    assert fired(count.trigger(), history) == expected(history, count.is_reached)


@thorough
@given(count=counts, history=arrivals(("a",), 120))
def test_a_count_of_which_some_are_forgotten_never_fires_where_it_should_not(count: Count, history: list[Seen]) -> None:
    assert set(fired(count.trigger(), history)) <= set(expected(history, count.is_reached))


@settings(max_examples=30)
@given(count=counts, history=arrivals(("a",), 200))
def test_a_count_of_events_in_order_is_exact_however_many_there_are(count: Count, history: list[Seen]) -> None:
    ordered = in_order(history)
    assert fired(count.trigger(), ordered) == expected(ordered, count.is_reached)


# Scores -------------------------------------------------------------------------------------------------------

WEIGHTS = {"a": 10.0, "b": 4.0, "c": -7.0}
HALF_LIFE = HOUR_MS
SCORING: Document = {"kind": "scoring", "weights": dict[str, Json](WEIGHTS), "half_life_hours": 1}


@thorough
@given(least=st.sampled_from((4.0, 9.5, 12.0, 30.0, 99.0)), history=arrivals(("a", "b", "c"), 30, 5 * MINUTE_MS))
def test_a_score_fires_where_the_event_lifts_it_from_below(least: float, history: list[Seen]) -> None:
    def scored(events: list[Seen]) -> float:
        total: float = sum(WEIGHTS[seen.type] * 0.5 ** ((HORIZON - seen.at) / HALF_LIFE) for seen in events)
        assume(abs(total - least) > 1e-5)
        return min(100.0, max(0.0, total))

    def fires(everything: list[Seen], new: Seen) -> bool:
        before = scored([seen for seen in everything if seen is not new])
        return before < least <= scored(everything)

    assert fired(score(least), history, SCORING) == expected(history, fires)


# Sessions -----------------------------------------------------------------------------------------------------


@thorough
@given(
    metric=st.sampled_from(("events", "pages", "duration_minutes")),
    least=st.sampled_from((1, 2, 3, 20)),
    history=arrivals(("a", "page_viewed", "screen_viewed", "email_opened"), 30, 10 * MINUTE_MS),
    names=st.lists(st.sampled_from((None, None, None, "one", "two")), min_size=30, max_size=30),
)
def test_a_session_fires_where_the_event_lifts_its_number_and_once(
    metric: str, least: float, history: list[Seen], names: list[str | None]
) -> None:
    def number(events: list[Seen]) -> tuple[int, float]:
        """Return which session the last event is in, and its number."""
        sessions: list[list[Seen]] = []
        name: str | None = None
        for seen in events:
            if seen.type == "email_opened":
                continue
            is_other = name is not None and names[seen.number] not in {None, name}
            if not sessions or seen.at - sessions[-1][-1].at >= 30 * MINUTE_MS or is_other:
                sessions.append([])
                name = None
            sessions[-1].append(seen)
            name = name or names[seen.number]
        latest = sessions[-1] if sessions else []
        numbers = {
            "events": len(latest),
            "pages": sum(seen.type != "a" for seen in latest),
            "duration_minutes": (latest[-1].at - latest[0].at) / MINUTE_MS if latest else 0,
        }
        return len(sessions), numbers[metric]

    def fires(everything: list[Seen], new: Seen) -> bool:
        del new
        (which, after), (which_before, before) = number(everything), number(everything[:-1])
        return after >= least and (which != which_before or before < least)

    ordered = in_order(history)
    journey = Journey(workflow(on=[session(metric, least)], allow_multiple_executions=True))
    for seen in ordered:
        journey.publish(seen.type, seen.at, envelope={"session_id": names[seen.number]}, event_id=str(seen.number))
    found = [int(str((firing.detail or {})["event_id"])) for firing in journey.decisions("trigger_fired")]
    assert found == expected(ordered, fires)


@given(
    metric=st.sampled_from(("events", "pages", "duration_minutes")),
    least=st.integers(1, 12),
    history=arrivals(("a", "page_viewed"), 30),
)
def test_within_one_session_the_order_of_arrival_doesn_t_matter(metric: str, least: int, history: list[Seen]) -> None:
    def fires(everything: list[Seen], new: Seen) -> bool:
        def number(events: list[Seen]) -> float:
            if metric == "duration_minutes":
                times = [seen.at for seen in events]
                return (max(times) - min(times)) / MINUTE_MS if times else 0
            return sum(metric == "events" or seen.type == "page_viewed" for seen in events)

        return number([seen for seen in everything if seen is not new]) < least <= number(everything)

    assert fired(session(metric, least), history) == expected(history, fires)


# Absences -----------------------------------------------------------------------------------------------------

WINDOW = 5 * MINUTE_MS
LATE = 5 * MINUTE_MS


@thorough
@given(
    drawn=st.lists(
        st.tuples(st.booleans(), st.integers(0, 12), numbers(-1, 0, 0, 1), numbers(0, 0, 0, 1, 2, 4, 5, 6, 9)),
        max_size=10,
    )
)
def test_an_absence_fires_for_each_first_event_that_nothing_answers_or_supersedes(
    drawn: list[tuple[bool, int, int, int]],
) -> None:
    class Put(Struct, frozen=True, eq=False):
        first: bool
        at: Millis
        arrives: Millis

    history = sorted(
        (
            Put(first, max(0, minute * MINUTE_MS + nudge), max(0, minute * MINUTE_MS + nudge) + late * MINUTE_MS)
            for first, minute, nudge, late in drawn
        ),
        key=lambda put: put.arrives,
    )
    assume(sum(put.first for put in history) <= 4)
    waits: list[tuple[int, Put, Millis, Millis]] = []
    for number, put in enumerate(history):
        if not put.first:
            continue
        deadline = put.at + WINDOW
        due = deadline if deadline > put.arrives else put.arrives + LATE
        earlier = history[:number]
        # An earlier arrival that answers it, begins after it, or waits since after it, leaves it no wait at all.
        answered = any(not one.first and put.at <= one.at <= deadline for one in earlier)
        superseded = any(one.first and put.at < one.at < deadline for one in earlier)
        outwaited = any(one.at > put.at and until > put.arrives for _, one, until, _ in waits)
        if answered or superseded or outwaited:
            waits.append((number, put, put.arrives, -1))
            continue
        # It waits until it is due, or until an arrival before that answers it or begins after it.
        ends = [
            one.arrives
            for one in history[number + 1 :]
            if one.arrives < due and (one.at >= put.at if one.first else put.at <= one.at <= deadline)
        ]
        waits.append((number, put, min(ends), -1) if ends else (number, put, due, due))
    journey = Journey(workflow(on=[absence("a", "b", WINDOW / MINUTE_MS)], allow_multiple_executions=True))
    for number, put in enumerate(history):
        journey.publish("a" if put.first else "b", put.at, arrives=put.arrives, event_id=str(number))
    journey.advance(to=HORIZON)
    found = [str((firing.detail or {})["event_id"]) for firing in journey.decisions("trigger_fired")]
    assert sorted(found) == sorted(str(number) for number, _, _, due in waits if due >= 0)


# Silences -----------------------------------------------------------------------------------------------------


@thorough
@given(
    st.lists(
        st.tuples(
            numbers(0, 1, 10 * MINUTE_MS, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1),
            numbers(0, 0, 0, 1, MINUTE_MS, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS),
            st.sampled_from(("a", "email_opened", "email_delivered")),
        ),
        max_size=12,
    )
)
def test_a_silence_fires_once_behind_the_latest_activity_in_whatever_order_activities_arrive(
    drawn: list[tuple[Millis, Millis, str]],
) -> None:
    """Being delivered to is none; an activity that comes after its silence would be over is given five minutes."""
    journey = Journey(workflow(on=[silence(1)], allow_multiple_executions=True))
    latest, due, arrives = -DAY_MS, None, 0
    fires: list[Millis] = []
    for gap, late, event_type in drawn:
        arrives += gap
        if due is not None and due <= arrives:
            fires, due = [*fires, due], None
        occurs = arrives - late
        if event_type != "email_delivered" and occurs > latest:
            latest = occurs
            due = occurs + HOUR_MS if occurs + HOUR_MS > arrives else arrives + LATE
        journey.publish(event_type, occurs, arrives=arrives)
    journey.advance(to=arrives + DAY_MS)
    fires += [] if due is None else [due]
    assert [one.at for one in journey.decisions("trigger_fired")] == [after(at) for at in fires]
