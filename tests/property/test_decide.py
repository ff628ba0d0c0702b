"""The laws of `decide`, over generated definitions and histories: whatever users write and producers send."""

from collections.abc import Iterator
from hashlib import md5
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from agents.engine import Engine
from agents.identity import answered, route
from agents.outcomes import Outcome
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.decide import DUE, deadline, decide
from journeys.executions import zone_of
from journeys.scene import Scene
from journeys.sending import with_quiet_hours
from journeys.timing import next_send_time
from journeys.turn import Turn
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.decisions import Decision, Send, encode_effect
from schemas.events import Event, Json, check_envelope, customer_key, read_envelope, stream_of
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, parse_instant
from tables.customers import CustomersTable
from tests.journey import (
    START,
    Document,
    Journey,
    decision,
    frequency,
    mail,
    silence,
    trigger,
    wait,
    workflow,
)
from tests.strategies import BEGIN, UNTIL, Line, as_file, definitions, histories
from tidings.event_file import read_lines
from tidings.simulation import simulate

# Drawing a whole world takes long on a machine that does other things as well.
few = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])


class Arrival(Struct, frozen=True, kw_only=True):
    """An event of a file, its line, and the file's clock at it."""

    line: int
    event: Event
    at: Millis

    @property
    def key(self) -> bytes:
        """The customer's key in the log."""
        return customer_key(self.event)


def arrivals(history: list[Line]) -> list[Arrival]:
    """Read a history as the file reader does."""
    clock, found = -(2**62), []
    for number, line in enumerate(history, 1):
        if isinstance(line, str):
            continue
        envelope = read_envelope(msgspec.json.encode(line))
        event = check_envelope(envelope, stream_of(envelope))
        clock = max(clock, event.occurred_at if event.received_at is None else event.received_at)
        found.append(Arrival(line=number, event=event, at=clock))
    return found


def once(history: list[Line]) -> list[Line]:
    """Leave out events that come again: 24 hours later they count as new, and their ids with them."""
    first = {line["event_id"]: line for line in reversed(history) if isinstance(line, dict)}
    return [line for line in history if isinstance(line, dict) and first[line["event_id"]] is line]


def compiled(documents: list[Document]) -> Catalogue:
    return compile_catalogue(definitions_from_documents(list(documents)), 1)


def engine(catalogue: Catalogue, hot_customers: int = 1_000) -> Engine:
    return Engine(CustomersTable(hot_customers), catalogue)


def states(one: Engine) -> dict[bytes, bytes]:
    """Encode every customer of an engine."""
    return {key: encoded(one, key) for key in one.table.keys()}  # noqa: SIM118 (a table isn't a mapping)


def encoded(one: Engine, key: bytes) -> bytes:
    return msgspec.msgpack.encode(one.table.get(key))


Placed = tuple[Millis, bool, int, bytes, int]
"""SPEC 10's key: when, timers first, the event's line, the timer's customer, the place in the decision."""
Record = tuple[Placed, bytes]


def records(outcome: Outcome, line: int, key: bytes) -> Iterator[Record]:
    """Place the effects of an outcome in the order of the output."""
    for position, effect in enumerate(outcome.effects):
        where = (line, b"") if outcome.by_event else (0, key)
        place = outcome.first_place + position
        yield (outcome.now, outcome.by_event, *where, place), encode_effect(effect)


def key_of(outcome: Outcome) -> bytes:
    name = outcome.customer_id.encode()
    return name if name.startswith(b"a:") else b"c:" + name


def fold(one: Engine, history: list[Line], *, everybody: bool = True) -> list[Record]:
    """Fold a history; timers of others fire along the way if `everybody`, else only at the end."""
    out: list[Record] = []
    for arrival in arrivals(history):
        if everybody:
            for outcome in fired(one, arrival.at):
                out += records(outcome, 0, key_of(outcome))
        for outcome in route(one, arrival.event, arrival.at):
            out += records(outcome, arrival.line, key_of(outcome))
    for outcome in fired(one, UNTIL):
        out += records(outcome, 0, key_of(outcome))
    return out


def fired(one: Engine, until: Millis) -> Iterator[Outcome]:
    """Fire what is due, and whatever that leads to with other customers."""
    return (outcome for outcome in answered(one, one.fire(until)) if outcome is not None)


def steps(one: Engine, history: list[Line]) -> Iterator[tuple[bytes, Customer, Millis, list[Outcome]]]:
    """Fold a history input by input: the customer's key, her state, the time, and what was decided.

    The decision that forgets a visitor leaves no state, and isn't among them.
    """
    for arrival in arrivals(history):
        for outcome in fired(one, arrival.at):
            key = key_of(outcome)
            if one.table.get(key) is not None:
                yield key, customer_of(one, key), outcome.now, [outcome]
        outcomes = route(one, arrival.event, arrival.at)
        for key in {arrival.key, *map(key_of, outcomes)}:
            yield key, customer_of(one, key), arrival.at, [each for each in outcomes if key_of(each) == key]
    for outcome in fired(one, UNTIL):
        key = key_of(outcome)
        if one.table.get(key) is not None:
            yield key, customer_of(one, key), outcome.now, [outcome]


def outcomes_of(one: Engine, history: list[Line]) -> Iterator[Outcome]:
    """Fold a history; what forgot a visitor is among what was decided."""
    for arrival in arrivals(history):
        yield from fired(one, arrival.at)
        yield from route(one, arrival.event, arrival.at)
    yield from fired(one, UNTIL)


def customer_of(one: Engine, key: bytes) -> Customer:
    customer = one.table.get(key)
    assert customer is not None
    return customer


# The laws --------------------------------------------------------------------------------------------------------


@few
@given(definitions(limits=True), histories(links=True))
def test_same_arguments_same_decision(documents: list[Document], history: list[Line]) -> None:
    first, second = engine(compiled(documents)), engine(compiled(documents))
    assert fold(first, history) == fold(second, history)
    assert states(first) == states(second)


@few
@given(definitions(limits=True), histories(links=True))
def test_a_repeated_event_yields_nothing_new(documents: list[Document], history: list[Line]) -> None:
    one = engine(compiled(documents))
    for arrival in arrivals(history):
        route(one, arrival.event, arrival.at)
        before = states(one)
        assert route(one, arrival.event, arrival.at) == []
        assert states(one) == before


@few
@given(definitions(limits=True), histories(links=True))
def test_an_early_due_is_the_identity(documents: list[Document], history: list[Line]) -> None:
    catalogue = compiled(documents)
    one = engine(catalogue)
    for key, customer, now, _ in steps(one, history):
        before = encoded(one, key)
        due_at = deadline(customer, catalogue)
        assert decide(customer, DUE, catalogue, now if due_at is None else due_at - 1) == []
        assert encoded(one, key) == before


@few
@given(definitions(limits=True), histories(links=True))
def test_after_every_step_the_deadline_is_later_than_now_or_there_is_none(
    documents: list[Document], history: list[Line]
) -> None:
    catalogue = compiled(documents)
    for _, customer, now, _ in steps(engine(catalogue), history):
        due_at = deadline(customer, catalogue)
        assert due_at is None or due_at > now


@few
@given(definitions(limits=True), histories(links=True))
def test_every_execution_ends_by_its_expiry(documents: list[Document], history: list[Line]) -> None:
    catalogue = compiled(documents)
    one = engine(catalogue)
    started: dict[str, tuple[str, str]] = {}
    for outcome in outcomes_of(one, once(history)):
        for effect in decisions([outcome]):
            if effect.kind == "execution_started":
                started[str(effect.execution_id)] = str(effect.workflow_id), effect.at
            elif effect.kind == "execution_ended":
                workflow_id, at = started.pop(str(effect.execution_id))
                latest = parse_instant(at) + catalogue.workflows[workflow_id].max_execution_ms
                assert parse_instant(effect.at) <= latest
                assert (parse_instant(effect.at) == latest) or effect.reason != "expired"
    assert started == {}


def decisions(outcomes: list[Outcome]) -> list[Decision]:
    return [effect for outcome in outcomes for effect in outcome.effects if isinstance(effect, Decision)]


@few
@given(definitions(limits=True), histories(links=True), st.integers(0, 3))
def test_encoding_and_decoding_at_any_point_changes_no_later_decision(
    documents: list[Document], history: list[Line], hot: int
) -> None:
    catalogue = compiled(documents)
    warm, cold = engine(catalogue), engine(catalogue, hot_customers=hot)
    out: list[Record] = []
    for arrival in arrivals(history):
        for outcome in fired(cold, arrival.at):
            out += records(outcome, 0, key_of(outcome))
        for outcome in route(cold, arrival.event, arrival.at):
            out += records(outcome, arrival.line, key_of(outcome))
        cold.table.take_changes(1, arrival.line)
    for outcome in fired(cold, UNTIL):
        out += records(outcome, 0, key_of(outcome))
    assert out == fold(warm, history)
    assert states(cold) == states(warm)


@few
@given(definitions(limits=True), histories(links=True))
def test_ids_are_unique(documents: list[Document], history: list[Line]) -> None:
    out = [msgspec.json.decode(record) for _, record in fold(engine(compiled(documents)), once(history))]
    ids = [record.get("decision_id") or record.get("send_id") or record["call_id"] for record in out]
    assert len(ids) == len(set(ids))


@few
@given(definitions(limits=True), histories(links=True))
def test_at_most_one_execution_of_a_workflow_and_key_is_active_unless_several_are_allowed(
    documents: list[Document], history: list[Line]
) -> None:
    catalogue = compiled(documents)
    for _, customer, _, _ in steps(engine(catalogue), history):
        active = [(execution.workflow_id, execution.key) for execution in customer.executions]
        single = [
            one for one in active if not catalogue.workflows[one[0]].definition.settings.allow_multiple_executions
        ]
        assert len(single) == len(set(single))
        assert len(active) <= catalogue.settings.max_concurrent_executions


@few
@given(definitions(limits=True), histories(links=True))
def test_one_event_starts_at_most_one_execution_of_a_workflow(documents: list[Document], history: list[Line]) -> None:
    for _, _, _, outcomes in steps(engine(compiled(documents)), history):
        for outcome in outcomes:
            fired = [one for one in decisions([outcome]) if one.kind == "trigger_fired"]
            started = [(one.workflow_id, (one.detail or {}).get("event_id")) for one in fired]
            assert len(started) == len(set(started))


@few
@given(definitions(limits=True), histories(links=True))
def test_a_message_goes_out_only_when_its_timing_holds_and_before_it_expires(
    documents: list[Document], history: list[Line]
) -> None:
    """Best hours are a wish, by which it was timed earlier; `test_best_hours.py` has them."""
    catalogue = compiled(documents)
    for _, customer, _, outcomes in steps(engine(catalogue), history):
        for outcome in outcomes:
            for send in [effect for effect in outcome.effects if isinstance(effect, Send)]:
                workflow_ = catalogue.workflows[send.workflow_id]
                step, now = workflow_.steps[send.step_id], outcome.now
                step = step.parts.get(send.channel, step)
                scene = Scene(customer=customer, now=now, half_life_ms=1.0)
                turn = Turn(customer=customer, catalogue=catalogue, now=now, cause="", scene=scene)
                expires_at = parse_instant(send.expires_at)
                timing, zone = with_quiet_hours(step, scene, catalogue), zone_of(turn, workflow_)
                assert next_send_time(timing, now, zone, frozenset(), expires_at) == now
                assert parse_instant(send.send_at) == now < expires_at


@few
@given(definitions(limits=True), histories(links=True))
def test_no_window_holds_more_marketing_than_a_cap_allows(documents: list[Document], history: list[Line]) -> None:
    catalogue = compiled(documents)
    sent: dict[str, list[tuple[Millis, Send]]] = {}
    for _, customer, now, outcomes in steps(engine(catalogue), history):
        for effect in [effect for outcome in outcomes for effect in outcome.effects]:
            if isinstance(effect, Send) and effect.category == "marketing":
                sent.setdefault(customer.customer_id, []).append((parse_instant(effect.send_at), effect))
                assert parse_instant(effect.send_at) <= now
    for cap in catalogue.settings.frequency_caps:
        for ends, last in [one for many in sent.values() for one in many]:
            counted = [
                1
                for at, send in sent[last.customer_id]
                if ends - cap.per_hours * HOUR_MS < at <= ends
                and cap.channel in {None, send.channel}
                and (cap.scope == "customer" or send.workflow_id == last.workflow_id)
            ]
            assert len(counted) <= cap.max or cap.channel not in {None, last.channel}


@few
@given(definitions(limits=True), histories(links=True))
def test_records_come_out_in_the_order_of_time_then_line_or_customer_then_place(
    tmp_path_factory: pytest.TempPathFactory, documents: list[Document], history: list[Line]
) -> None:
    catalogue = compiled(documents)
    out = fold(engine(catalogue), history)
    places = [place for place, _ in out]
    assert places == sorted(places)
    assert all(first < second for first, second in pairwise(places))
    path = tmp_path_factory.getbasetemp() / "events.ndjson"
    path.write_bytes(as_file(history))
    written: list[bytes] = []
    simulate(catalogue, read_lines(path), until=UNTIL, write=written.append)
    told = [b"{" + line.split(b",", 1)[1].rstrip() for line in written if b'"dead_letter"' not in line[:30]]
    assert told == [record for _, record in out]
    assert len(written) - len(told) == sum(isinstance(line, str) for line in history)


@few
@given(definitions(), histories(), st.integers(2, 4))
def test_any_partitioning_of_the_customers_gives_the_same_records(
    documents: list[Document], history: list[Line], partitions: int
) -> None:
    catalogue = compiled(documents)
    alone = fold(engine(catalogue), history)
    parts: list[Record] = []
    numbered = dict(enumerate(history, 1))
    of = {arrival.line: crc32(arrival.key) % partitions for arrival in arrivals(history)}
    for partition in range(partitions):
        mine: list[Line] = [line if of.get(number) == partition else "" for number, line in numbered.items()]
        parts += fold_at(engine(catalogue), mine, {arrival.line: arrival.at for arrival in arrivals(history)})
    assert sorted(parts) == alone


def fold_at(one: Engine, history: list[Line], clock: dict[int, Millis]) -> list[Record]:
    """Fold one partition's lines at the times that the whole file gives them; only own timers fire on the way."""
    out: list[Record] = []
    for arrival in arrivals(history):
        for outcome in one.take(arrival.key, arrival.event, clock[arrival.line]):
            out += records(outcome, arrival.line, arrival.key)
    for outcome in one.fire(UNTIL):
        out += records(outcome, 0, key_of(outcome))
    return out


def test_the_file_reader_sees_a_history_as_these_tests_do(tmp_path: Path) -> None:
    history: list[Line] = [
        {"event_id": "1", "customer_id": "ada", "type": "a", "occurred_at": BEGIN},
        {"event_id": "2", "customer_id": "ada", "type": "a", "occurred_at": BEGIN + 5, "received_at": BEGIN - 5},
    ]
    path = tmp_path / "events.ndjson"
    path.write_bytes(as_file(history))
    read = [(line.number, line.event, line.clock) for line in read_lines(path)]
    assert read == [(one.line, one.event, one.at) for one in arrivals(history)]


# References -------------------------------------------------------------------------------------------------------


def fired_ids(journey: Journey) -> list[str]:
    return [str((one.detail or {})["event_id"]) for one in journey.decisions("trigger_fired")]


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from((0, 0, 0, 5, 10, 11, 30))), max_size=25),
)
def test_frequency_fires_where_counting_again_from_scratch_says_so(wanted: int, gaps: list[tuple[int, int]]) -> None:
    """Events of a window of 10 minutes, some of them late; fewer than the spare instants that are kept."""
    window = 10 * MINUTE_MS
    journey = Journey(
        workflow(wait("p", duration_hours=1), on=[frequency("go", wanted, 10)], allow_multiple_executions=True)
    )
    clock, placed, expected = 0, [], []
    for number, (gap, late) in enumerate(gaps):
        clock += gap * MINUTE_MS
        at = clock - late * MINUTE_MS
        placed.append(at)
        ends = [end for end in placed if at <= end < at + window]
        counts = [sum(end - window < other <= end for other in placed) for end in ends]
        # Of one instant, only the events of others can have been counted before.
        if wanted in counts:
            expected.append(f"n{number}")
        journey.publish("go", at, arrives=clock, event_id=f"n{number}")
    assume(len(gaps) <= wanted + 16)
    assert fired_ids(journey) == expected


@given(st.lists(st.tuples(st.sampled_from((0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1)), st.booleans()), max_size=12))
def test_every_silence_of_an_hour_is_answered_once_at_its_end(gaps: list[tuple[Millis, bool]]) -> None:
    journey = Journey(workflow(on=[silence(1)], allow_multiple_executions=True))
    at, active = 0, [0]
    journey.publish("page_viewed")
    for gap, is_activity in gaps:
        at += gap
        journey.publish("page_viewed" if is_activity else "email_delivered", at)
        active += [at] if is_activity else []
    journey.advance(at + DAY_MS)
    ends = [first + HOUR_MS for first, second in pairwise([*active, at + DAY_MS]) if second - first >= HOUR_MS]
    assert [parse_instant(one.at) - START for one in journey.decisions("execution_started")] == ends


@given(
    st.lists(st.sampled_from((1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS)), max_size=15),
    st.sampled_from((None, "ended", "started", "last_send")),
    st.sampled_from((0, 1)),
    st.sampled_from((0, 1, 2)),
)
def test_cooldown_and_re_entry_let_through_what_a_plain_model_lets_through(
    gaps: list[Millis], source: str | None, after_hours: int, cooldown: int
) -> None:
    """An execution sends after half an hour and ends after an hour; so the four instants lie apart."""
    rule: Json = None if source is None else {"from": source, "after_hours": after_hours}
    path = [wait("p", "mail", duration_minutes=30), mail("mail", "q"), wait("q", duration_minutes=30)]
    journey = Journey(workflow(*path, on=[trigger(cooldown_hours=cooldown)], re_entry=rule))
    at, last, expected = 0, None, []
    for gap in [0, *gaps]:
        at += gap
        journey.publish("signup", at)
        allowed = last is None
        if last is not None:
            since = {None: None, "ended": last + HOUR_MS, "started": last, "last_send": last + HOUR_MS // 2}[source]
            cool, over = at - last >= cooldown * HOUR_MS, at >= last + HOUR_MS
            allowed = cool and over and since is not None and at >= since + after_hours * HOUR_MS
        if allowed:
            last = at
            expected.append(at)
    assert [parse_instant(one.at) - START for one in journey.decisions("execution_started")] == expected


@given(st.lists(st.sampled_from((1, 2, 0.5, 7)), min_size=1, max_size=5), st.text(min_size=1, max_size=20))
def test_a_split_is_the_published_formula(weights: list[float], name: str) -> None:
    assume(name.isprintable())
    variants: list[Json] = [
        {"name": f"v{place}", "weight": weight, "next_step": f"m{place}"} for place, weight in enumerate(weights)
    ]
    mails = [wait(f"m{place}", duration_hours=1) for place in range(len(weights))]
    journey = Journey(workflow(decision("fork", "split_test", variants=variants), *mails))
    journey.publish("signup", customer=name)
    place = int(md5(f"{name}:w:fork".encode(), usedforsecurity=False).hexdigest(), 16) % 10_000 / 10_000
    shares = [sum(weights[: number + 1]) / sum(weights) for number in range(len(weights))]
    expected = next(number for number, share in enumerate(shares) if place < share)
    completed = journey.decisions("step_completed")[0].detail
    assert completed is not None
    assert completed["next"] == [f"m{expected}"]


def test_a_split_distributes_by_weight() -> None:
    variants: list[Json] = [{"name": "a", "weight": 3, "next_step": "x"}, {"name": "b", "weight": 1, "next_step": "y"}]
    journey = Journey(
        workflow(
            decision("fork", "split_test", variants=variants), wait("x", duration_hours=1), wait("y", duration_hours=1)
        )
    )
    for number in range(2_000):
        journey.publish("signup", customer=f"c{number}")
    taken = [(one.detail or {})["result"] for one in journey.decisions("step_completed")]
    assert abs(taken.count("a") - 1_500) < 80  # four standard deviations
