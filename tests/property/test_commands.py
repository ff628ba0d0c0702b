"""The laws of commands, over generated worlds: a pause lets nothing out, loses nothing, and can be told again."""

from hypothesis import given
from hypothesis import strategies as st

from agents.engine import Engine
from agents.outcomes import Outcome
from journeys.decide import DUE, deadline, decide
from schemas.decisions import Send
from schemas.instants import HOUR_MS, Millis, parse_instant
from schemas.log import Command
from tests.property.test_decide import arrivals, compiled, encoded, engine, few, states
from tests.strategies import BEGIN, UNTIL, Document, Line, definitions, histories

WORKFLOWS = ("w0", "w1")
_spans = st.sampled_from((0, 1, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS, 24 * HOUR_MS + 1, 72 * HOUR_MS))
_scopes = st.sampled_from(
    (
        {},
        {"workflow_id": "w0"},
        {"workflow_id": "w1"},
        {"channel": "email"},
        {"channel": "push"},
        {"customer_key": "c:ada"},
    )
)
Pauses = list[tuple[Millis, Command]]


@st.composite
def _pauses(draw: st.DrawFn) -> Pauses:
    """Draw pauses that all end, one after another or within each other."""
    found: Pauses = []
    for number in range(draw(st.integers(1, 4))):
        scope = draw(_scopes)
        begin = BEGIN + draw(st.integers(0, 200)) * HOUR_MS // 2
        end = begin + draw(_spans)
        for action, at in (("pause", begin), ("resume", end)):
            found.append((at, Command(command_id=f"{action}{number}", action=action, **scope)))  # type: ignore[arg-type]
    return sorted(found, key=lambda timed: timed[0])


def fold(one: Engine, history: list[Line], pauses: Pauses) -> list[Outcome]:
    """Fold a history with commands between its lines."""
    out: list[Outcome] = []
    waiting = list(pauses)
    for arrival in arrivals(history):
        while waiting and waiting[0][0] <= arrival.at:
            at, command = waiting.pop(0)
            out += [outcome for outcome in one.obey(command, at) if outcome is not None]
        out += one.fire(arrival.at)
        out += one.take(arrival.key, arrival.event, arrival.at)
    for at, command in waiting:
        out += [outcome for outcome in one.obey(command, at) if outcome is not None]
    return [*out, *one.fire(UNTIL)]


def spans(pauses: Pauses, **scope: str) -> list[tuple[Millis, Millis]]:
    """Return from when to when a scope is paused: from the first pause on until any resume of it."""
    found, begin = [], None
    for at, command in pauses:
        if {name: getattr(command, name) for name in ("workflow_id", "channel", "customer_key")} != {
            "workflow_id": None,
            "channel": None,
            "customer_key": None,
        } | scope:
            continue
        if command.action == "pause" and begin is None:
            begin = at
        elif command.action == "resume" and begin is not None:
            found.append((begin, at))
            begin = None
    return found


@few
@given(definitions(), histories(), _pauses())
def test_nothing_goes_out_while_all_or_its_workflow_or_its_channel_is_paused(
    documents: list[Document], history: list[Line], pauses: Pauses
) -> None:
    for outcome in fold(engine(compiled(documents)), history, pauses):
        for send in [effect for effect in outcome.effects if isinstance(effect, Send)]:
            held = spans(pauses) + spans(pauses, workflow_id=send.workflow_id) + spans(pauses, channel=send.channel)
            at = parse_instant(send.send_at)
            # What is due at the instant of the pause still happens, before it.
            assert not any(begin < at < end for begin, end in held)


@few
@given(definitions(), histories(), _pauses())
def test_after_pauses_every_execution_ends_and_the_same_again_gives_the_same(
    documents: list[Document], history: list[Line], pauses: Pauses
) -> None:
    first, second = engine(compiled(documents)), engine(compiled(documents))
    assert fold(first, history, pauses) == fold(second, history, pauses)
    assert states(first) == states(second)
    for key in first.table.keys():  # noqa: SIM118 (a table isn't a mapping)
        customer = first.table.get(key)
        assert customer is not None
        assert customer.executions == []


@few
@given(definitions(), histories(), _pauses())
def test_the_deadline_is_later_than_the_last_decision_and_an_early_due_is_the_identity_under_holds_too(
    documents: list[Document], history: list[Line], pauses: Pauses
) -> None:
    one = engine(compiled(documents))
    waiting = list(pauses)
    for arrival in arrivals(history):
        while waiting and waiting[0][0] <= arrival.at:
            at, command = waiting.pop(0)
            list(one.obey(command, at))
        list(one.fire(arrival.at))
        one.take(arrival.key, arrival.event, arrival.at)
        customer = one.table.get(arrival.key)
        assert customer is not None
        assert one.catalogue is not None
        due_at = deadline(customer, one.catalogue)
        assert due_at is None or due_at > arrival.at
        before = encoded(one, arrival.key)
        assert decide(customer, DUE, one.catalogue, arrival.at if due_at is None else due_at - 1) == []
        assert encoded(one, arrival.key) == before
