"""Which firings start an execution, against a reference that keeps the whole past and shares no code with the rules."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, Millis
from tests.journey import Document, Journey, mail, signup, wait, workflow

_SPANS_H = (1, 2, 3)
_KEYS: tuple[Json, ...] = (None, "a", "b")


class Rules(Struct, frozen=True, kw_only=True):
    """The settings under test; spans in hours."""

    lasts: int
    sends_after: int
    """How long before its end it sends, or below 0 for not at all."""
    cooldown: float
    several: bool
    source: str | None
    after: float
    keyed: bool
    most: int
    oldest: int

    def document(self) -> Document:
        """Write the workflow."""
        rest: Document = {"allow_multiple_executions": self.several}
        if self.source is not None:
            rest["re_entry"] = {"after_hours": self.after, "from": self.source}
        if self.keyed:
            rest["execution_key"] = "event.properties.key"
        waits = [wait("first", *(["mail"] if self.sends_after >= 0 else ["rest"]), duration_hours=self.before)]
        steps = [*waits, *([mail("mail", "rest")] if self.sends_after >= 0 else [])]
        rest_hours = max(self.lasts - self.before, 0) or 0.0000001
        written = workflow(*steps, wait("rest", duration_hours=rest_hours), on=[signup(cooldown_hours=self.cooldown)])
        return {**written, "settings": rest}

    @property
    def before(self) -> float:
        """Return the hours before the send."""
        return self.lasts - self.sends_after if 0 <= self.sends_after < self.lasts else self.lasts / 2


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    return Rules(
        lasts=draw(st.sampled_from(_SPANS_H)),
        sends_after=draw(st.sampled_from((-1, 1))),
        cooldown=draw(st.sampled_from((0, 0, *_SPANS_H))),
        several=draw(st.booleans()),
        source=draw(st.sampled_from((None, "ended", "started", "last_send"))),
        after=draw(st.sampled_from((0, *_SPANS_H))),
        keyed=draw(st.booleans()),
        most=draw(st.sampled_from((1, 2, 50))),
        oldest=draw(st.sampled_from((1, 72))),
    )


Firing = tuple[Millis, Millis, Json]
"""When the event arrives, how old it is then, and its key."""


def firings() -> st.SearchStrategy[list[Firing]]:
    """Draw events on the boundaries of the spans, and a millisecond beside them."""
    at = st.tuples(st.sampled_from((0, 1, 2, 3, 4, 6)), st.sampled_from((-1, 0, 0, 1)))
    arrives = at.map(lambda drawn: DAY_MS + drawn[0] * HOUR_MS + drawn[1])
    age = st.sampled_from((0, 0, 0, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1))
    return st.lists(st.tuples(arrives, age, st.sampled_from(_KEYS)), min_size=1, max_size=8).map(
        lambda drawn: sorted(drawn, key=lambda one: one[0])
    )


def expected(rules: Rules, history: list[Firing]) -> list[str]:
    """Return what becomes of each firing: `started`, or the reason of the refusal."""
    lasts = int(rules.before * HOUR_MS) + (rules_rest(rules))
    starts: list[tuple[Millis, Json]] = []
    found = []
    for at, age, key in history:
        named = key if rules.keyed else None
        # What ends at an instant has ended before an event of that instant.
        running = [start for start in starts if start[0] + lasts > at]
        same = [start for start, its_key in starts if its_key == named]
        found.append(
            _verdict(rules, at, age, starts, running, same, lasts, is_keyless=rules.keyed and key is None, named=named)
        )
        if found[-1] == "started":
            starts.append((at, named))
    return found


def rules_rest(rules: Rules) -> Millis:
    """Return how long the wait behind the send lasts; waits are never shorter than a millisecond."""
    return max(int((rules.lasts - rules.before) * HOUR_MS), 1)


def _verdict(
    rules: Rules, at: Millis, age: Millis, starts: list[tuple[Millis, Json]], running: list[tuple[Millis, Json]],
    same: list[Millis], lasts: Millis, *, is_keyless: bool, named: Json,
) -> str:  # fmt: skip
    if age > rules.oldest * HOUR_MS:
        return "event_too_old"
    if starts and at - starts[-1][0] < rules.cooldown * HOUR_MS:
        return "cooldown"
    if not rules.several and not is_keyless:
        if any(its_key == named for _, its_key in running):
            return "already_active"
        if same:
            since = {
                None: None,
                "ended": same[-1] + lasts,
                "started": same[-1],
                "last_send": same[-1] + (int(rules.before * HOUR_MS) if rules.sends_after >= 0 else lasts),
            }[rules.source]
            if since is None or at - since < rules.after * HOUR_MS:
                return "re_entry"
    if is_keyless:
        return "no_key"
    return "max_concurrent_executions" if len(running) >= rules.most else "started"


@settings(max_examples=200, deadline=None)
@given(rules(), firings())
def test_each_firing_starts_or_is_refused_for_the_first_reason_there_is(rules: Rules, history: list[Firing]) -> None:
    journey = Journey(rules.document(), max_event_age_hours=rules.oldest, max_concurrent_executions=rules.most)
    found: list[str] = []
    for at, age, key in history:
        if found:
            # Of refusals only the first of a day is recorded.
            journey.customer().refusals.clear()
        effects = journey.publish(
            "signup", at - age, arrives=at, envelope={"properties": {} if key is None else {"key": key}}
        )
        kinds = {getattr(one, "kind", ""): getattr(one, "reason", None) for one in effects}
        found.append("started" if "execution_started" in kinds else str(kinds.get("trigger_refused")))
    assert found == expected(rules, history)
