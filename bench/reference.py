"""The trigger job a second time: what `definitions/job.yaml` means, in plain Python with dictionaries.

It shares no code with the rules and is written for reading: what it yields is what has to come out. It is also
the measure of what the rules alone cost without a state that is stored, records of decisions, and templates.
"""

from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

HOUR: Final = 3_600_000
MINUTE: Final = 60_000
DAY: Final = 24 * HOUR
HALF_LIFE: Final = 14 * DAY
SILENCE: Final = 468 * HOUR
LONGEST_MEMORY: Final = 8 * DAY
"""Longer than any window of the job and any delay of its traffic."""
SCORES: Final = {
    "signup": 10,
    "page_viewed": 1,
    "product_viewed": 2,
    "product_added": 5,
    "checkout_started": 8,
    "order_completed": 25,
    "email_opened": 5,
}
COOLDOWN: Final = {
    "viewed-then-bought": 24 * HOUR,
    "searched-then-added": 168 * HOUR,
    "checkout-without-order": 168 * HOUR,
    "payment-fails-again": 24 * HOUR,
    "many-pages": 72 * HOUR,
    "many-records": 72 * HOUR,
    "full-cart": 72 * HOUR,
    "lost-in-search": 72 * HOUR,
    "warm": 336 * HOUR,
    "hot": 336 * HOUR,
}


class Start(NamedTuple):
    """One message that has to go out: whom to, of which workflow, when, and for which line of the traffic."""

    customer: str
    workflow: str
    at: int
    line: int | None
    """None when a silence led to it."""


class Properties(msgspec.Struct):
    """The properties that the rules look at."""

    price: float = 0.0
    total: float = 0.0
    category: str = ""


class Seen(msgspec.Struct):
    """An event as the reference reads it."""

    event_id: str
    type: str
    occurred_at: int
    customer_id: str
    properties: Properties


class Person:
    """What the reference remembers of a customer."""

    __slots__ = ("answered", "last_activity", "score", "score_at", "seen", "started", "times", "windows")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seen: set[str] = set()
        self.times: defaultdict[str, list[int]] = defaultdict(list)
        self.windows: defaultdict[str, list[int]] = defaultdict(list)
        self.score = 0.0
        self.score_at: int | None = None
        self.last_activity: int | None = None
        self.answered: int | None = None
        self.started: dict[str, int] = {}


_decode: Final = msgspec.json.Decoder(Seen).decode


class Reference:
    """Everybody's memory, and the messages so far."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.people: dict[str, Person] = {}
        self.starts: list[Start] = []

    def take(self, event: Seen, now: int, line: int) -> None:
        """Take one arrival."""
        person = self.people.setdefault(event.customer_id, Person())
        self._end_silence(event.customer_id, person, now)
        if event.event_id in person.seen:
            return
        person.seen.add(event.event_id)
        _remember(person, event)
        for workflow, fires in RULES.get(event.type, ()):
            if not fires(person, event, now):
                continue
            last = person.started.get(workflow)
            if last is None or now - last >= COOLDOWN[workflow]:
                person.started[workflow] = now
                self.starts.append(Start(event.customer_id, workflow, now, line))

    def end(self, now: int) -> None:
        """End time: silences that are long enough by then are answered."""
        for customer, person in self.people.items():
            self._end_silence(customer, person, now)

    def _end_silence(self, customer: str, person: Person, now: int) -> None:
        began = person.last_activity
        if began is not None and began != person.answered and began + SILENCE <= now:
            person.answered = began
            self.starts.append(Start(customer, "silent", began + SILENCE, None))


def expected(arrivals: Iterable[tuple[int, bytes]]) -> tuple[Counter[Start], int]:
    """Return the messages that the traffic has to lead to, and the instant at which it ends."""
    reference, now = Reference(), 0
    for line, (now, value) in enumerate(arrivals, start=1):
        reference.take(_decode(value), now, line)
    reference.end(now)
    return Counter(reference.starts), now


def read(value: bytes) -> Seen:
    """Read an event."""
    return _decode(value)


def _remember(person: Person, event: Seen) -> None:
    at = event.occurred_at
    if person.last_activity is None or at > person.last_activity:
        person.last_activity = at
    times = person.times[event.type]
    insort(times, at)
    if times[0] < times[-1] - LONGEST_MEMORY:
        del times[0]
    weight = SCORES.get(event.type, 0)
    if weight:
        if person.score_at is None:
            person.score, person.score_at = weight, at
        elif at >= person.score_at:
            person.score = person.score * 0.5 ** ((at - person.score_at) / HALF_LIFE) + weight
            person.score_at = at
        else:
            person.score += weight * 0.5 ** ((person.score_at - at) / HALF_LIFE)


def _within(person: Person, event_type: str, window: int, now: int) -> int:
    return sum(now - at <= window for at in person.times[event_type])


def _reaches(person: Person, workflow: str, at: int, window: int, wanted: int) -> bool:
    """Count an event; tell whether it raised a window that ends with it or a later one to the wanted number."""
    times = person.windows[workflow]
    insort(times, at)
    ends = [end for end in times if at <= end < at + window]
    raised = any(bisect_right(times, end) - bisect_right(times, end - window) == wanted for end in ends)
    while times[0] < times[-1] - window - 2 * HOUR:
        del times[0]
    return raised


def _score(person: Person, now: int) -> float:
    if person.score_at is None:
        return 0.0
    halvings = max(0, now - person.score_at) / HALF_LIFE
    return min(100.0, round(person.score * float(0.5**halvings), 6))


Rule = Callable[[Person, Seen, int], bool]

RULES: Final[dict[str, tuple[tuple[str, Rule], ...]]] = {
    "order_completed": (
        ("viewed-then-bought", lambda person, _, now: _within(person, "product_viewed", 24 * HOUR, now) >= 5),
    ),
    "product_added": (
        (
            "searched-then-added",
            lambda person, event, now: (
                event.properties.price >= 190 and _within(person, "search_performed", HOUR, now) >= 1
            ),
        ),
        ("full-cart", lambda person, event, _: _reaches(person, "full-cart", event.occurred_at, 60 * MINUTE, 4)),
    ),
    "checkout_started": (
        (
            "checkout-without-order",
            lambda person, event, now: (
                event.properties.total >= 275 and not _within(person, "order_completed", 168 * HOUR, now)
            ),
        ),
    ),
    "payment_failed": (
        ("payment-fails-again", lambda person, _, now: _within(person, "payment_failed", HOUR, now) >= 2),
    ),
    "page_viewed": (
        ("many-pages", lambda person, event, _: _reaches(person, "many-pages", event.occurred_at, 60 * MINUTE, 12)),
        ("warm", lambda person, _, now: 60 <= _score(person, now) <= 63),
    ),
    "product_viewed": (
        (
            "many-records",
            lambda person, event, _: (
                event.properties.category == "records"
                and _reaches(person, "many-records", event.occurred_at, 30 * MINUTE, 5)
            ),
        ),
        ("hot", lambda person, _, now: 90 <= _score(person, now) <= 93),
    ),
    "search_performed": (
        (
            "lost-in-search",
            lambda person, event, _: _reaches(person, "lost-in-search", event.occurred_at, 20 * MINUTE, 5),
        ),
    ),
}
"""By event type: the workflows that it can start, and when it does."""
