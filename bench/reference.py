"""The trigger job a second time: what `definitions/job.yaml` means, in plain Python with dictionaries.

It shares no code with the rules and is written for reading: what it yields is what has to come out. It is also
the measure of what the rules alone cost without a state that is stored, records of decisions, and templates.
"""

from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

HOUR: Final = 3_600_000
MINUTE: Final = 60_000
DAY: Final = 24 * HOUR
HALF_LIFE: Final = 14 * DAY
SILENCE: Final = 468 * HOUR
LATEST: Final = 2 * HOUR
"""Longer than any delay of the traffic."""
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
    "viewed-then-bought": 168 * HOUR,
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

    __slots__ = (
        "answered",
        "behind",
        "chains",
        "last_activity",
        "score",
        "score_at",
        "score_before",
        "seen",
        "started",
        "visit",
        "windows",
    )

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seen: set[str] = set()
        self.visit: list[tuple[int, str]] = []
        self.chains: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self.behind: dict[str, int] = {}
        self.windows: defaultdict[str, list[int]] = defaultdict(list)
        self.score = 0.0
        self.score_at: int | None = None
        self.score_before = 0.0
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
        _remember(person, event, now)
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


def _remember(person: Person, event: Seen, now: int) -> None:
    at = event.occurred_at
    if person.last_activity is None or at > person.last_activity:
        person.last_activity = at
    if event.type != "email_opened":
        _place(person.visit, at, event.type, 60 * MINUTE)
    weight = SCORES.get(event.type, 0)
    if weight:
        person.score_before = _score(person, now)
        if person.score_at is None:
            person.score, person.score_at = weight, at
        elif at >= person.score_at:
            person.score = person.score * 0.5 ** ((at - person.score_at) / HALF_LIFE) + weight
            person.score_at = at
        else:
            person.score += weight * 0.5 ** ((person.score_at - at) / HALF_LIFE)


def _place(events: list[tuple[int, str]], at: int, what: str, window: int) -> None:
    """Put an event where it occurred, behind those of its instant; forget what no window reaches any more."""
    insort(events, (at, what), key=lambda event: event[0])
    while events[0][0] < events[-1][0] - window - LATEST:
        del events[0]


def _follows(person: Person, workflow: str, at: int, what: str, wanted: Sequence[str], window: int) -> bool:
    """Take an event into a sequence between whose events others may stand; tell whether it is complete.

    "-" voids what has begun. A match ends the search in everything up to its end.
    """
    if at < person.behind.get(workflow, at):
        return False
    events = person.chains[workflow]
    _place(events, at, what, window)
    begun: list[tuple[int, int]] = []
    for number, (when, which) in enumerate(events):
        if which == "-":
            begun = []
            continue
        further = [(start, reached + (wanted[reached] == which)) for start, reached in begun]
        if any(reached == len(wanted) and when - start < window for start, reached in further):
            person.behind[workflow] = when
            del events[: number + 1]
            return True
        begun = [(start, reached) for start, reached in further if reached < len(wanted)]
        if which == wanted[0]:
            begun.append((when, 1))
    return False


def _runs(person: Person, at: int, wanted: Sequence[str], window: int) -> bool:
    """Tell whether the newest event of that instant is part of a run of exactly these, with nothing between."""
    events, length = person.visit, len(wanted)
    newest = bisect_right(events, at, key=lambda event: event[0]) - 1
    for start in range(max(0, newest - length + 1), newest + 1):
        run = events[start : start + length]
        if [which for _, which in run] == list(wanted) and run[-1][0] - run[0][0] < window:
            return True
    return False


def _rises(person: Person, least: float, now: int) -> bool:
    return person.score_before < least <= _score(person, now)


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


def _bought(person: Person, event: Seen, _: int) -> bool:
    wanted = ("product_viewed", "product_added", "order_completed")
    return _follows(person, "viewed-then-bought", event.occurred_at, event.type, wanted, HOUR)


def _checked_out(person: Person, event: Seen, _: int) -> bool:
    what = "-" if event.type == "order_completed" else event.type
    if what == "checkout_started" and event.properties.total < 250:
        return False
    wanted = ("product_added", "checkout_started")
    return _follows(person, "checkout-without-order", event.occurred_at, what, wanted, DAY)


def _failed_again(person: Person, event: Seen, _: int) -> bool:
    wanted = ("payment_failed", "payment_failed")
    return _follows(person, "payment-fails-again", event.occurred_at, event.type, wanted, HOUR)


def _searched(person: Person, event: Seen, _: int) -> bool:
    return _runs(person, event.occurred_at, ("search_performed", "product_viewed", "product_added"), HOUR)


VIEWED_THEN_BOUGHT: Final = ("viewed-then-bought", _bought)
SEARCHED_THEN_ADDED: Final = ("searched-then-added", _searched)
CHECKOUT_WITHOUT_ORDER: Final = ("checkout-without-order", _checked_out)
SCORES_RISE: Final[tuple[tuple[str, Rule], ...]] = (
    ("warm", lambda person, _, now: _rises(person, 80, now)),
    ("hot", lambda person, _, now: _rises(person, 99, now)),
)
RULES: Final[dict[str, tuple[tuple[str, Rule], ...]]] = {
    "signup": SCORES_RISE,
    "email_opened": SCORES_RISE,
    "order_completed": (VIEWED_THEN_BOUGHT, CHECKOUT_WITHOUT_ORDER, *SCORES_RISE),
    "product_added": (
        VIEWED_THEN_BOUGHT,
        SEARCHED_THEN_ADDED,
        CHECKOUT_WITHOUT_ORDER,
        ("full-cart", lambda person, event, _: _reaches(person, "full-cart", event.occurred_at, 60 * MINUTE, 4)),
        *SCORES_RISE,
    ),
    "checkout_started": (CHECKOUT_WITHOUT_ORDER, *SCORES_RISE),
    "payment_failed": (("payment-fails-again", _failed_again),),
    "page_viewed": (
        ("many-pages", lambda person, event, _: _reaches(person, "many-pages", event.occurred_at, 60 * MINUTE, 12)),
        *SCORES_RISE,
    ),
    "product_viewed": (
        VIEWED_THEN_BOUGHT,
        SEARCHED_THEN_ADDED,
        (
            "many-records",
            lambda person, event, _: (
                event.properties.category == "records"
                and _reaches(person, "many-records", event.occurred_at, 30 * MINUTE, 5)
            ),
        ),
        *SCORES_RISE,
    ),
    "search_performed": (
        SEARCHED_THEN_ADDED,
        (
            "lost-in-search",
            lambda person, event, _: _reaches(person, "lost-in-search", event.occurred_at, 20 * MINUTE, 5),
        ),
    ),
}
"""By event type: the workflows that it can start, and when it does."""
