"""A path names one thing on the scene, or nothing."""

import msgspec
import pytest

from journeys.fields import MISSING, Instant, Value, compile_field, plain
from journeys.scene import Scene
from schemas.customer import Customer, Execution, Session
from schemas.events import Event, Json
from schemas.kept_events import NO_EVENT, keep_event

NOW = 1_767_225_600_000
HALF_LIFE_MS = 14 * 24 * 3_600_000.0


def event(properties: dict[str, Json] | None = None, **envelope: object) -> Event:
    plain_event = {
        "event_id": "e1",
        "type": "order_completed",
        "occurred_at": NOW - 5,
        "stream": "behavioral",
        "customer_id": "ada",
        "properties": properties or {},
    }
    return msgspec.json.decode(msgspec.json.encode(plain_event | envelope), type=Event)


def execution(trigger: bytes, last_event: bytes | None = None) -> Execution:
    return Execution(
        execution_id="x1", workflow_id="welcome", version=3, trigger_id="0", started_at=NOW - 100, expires_at=NOW + 100,
        trigger=trigger, branches=[], visits={}, last_event=last_event,
    )  # fmt: skip


def scene(customer: Customer | None = None, **more: object) -> Scene:
    return Scene(customer=customer or Customer(customer_id="ada"), now=NOW, half_life_ms=HALF_LIFE_MS, **more)  # type: ignore[arg-type]


def read(path: str, at: Scene) -> Value:
    return compile_field(path)(at)


ADA = Customer(
    customer_id="ada",
    email="ada@example.com",
    attributes={"plan": "pro", "address": {"city": "Oslo"}, "a.b": 1, "a": {"b": 2, "c": 3}, "gone": None},
    preferences={"timezone": "Europe/Oslo", "channels": {"email": False}},
    lifecycle_stage="lead",
    segments=["vip"],
    first_seen=NOW - 10,
    last_engagement=NOW - 7,
    score=80.0,
    score_at=NOW - int(HALF_LIFE_MS),
    total_purchases=3,
    total_spent=100.0,
    counts={"page_viewed": 4, "email.opened": 2},
    last={"page_viewed": NOW - 3},
    session=Session(started_at=NOW - 90_000, last_at=NOW, events=5, pages=2),
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("plan", "pro"),
        ("attributes.plan", "pro"),
        ("customer.plan", "pro"),
        ("attributes.address.city", "Oslo"),
        ("address.city", "Oslo"),
        ("attributes.address.city.north", MISSING),
        ("attributes.a.b", 1),
        ("attributes.a.c", 3),
        ("attributes.nothing", MISSING),
        ("gone", None),
        ("nothing", MISSING),
        ("preferences.timezone", "Europe/Oslo"),
        ("preferences.channels.email", False),
        ("preferences.nothing", MISSING),
        ("email", "ada@example.com"),
        ("phone", MISSING),
        ("push_token", MISSING),
        ("social_id", MISSING),
        ("customer_id", "ada"),
        ("lifecycle_stage", "lead"),
        ("segments", ["vip"]),
        ("first_seen", NOW - 10),
        ("last_activity", MISSING),
        ("last_engagement", NOW - 7),
        ("engagement_score", 40.0),
        ("total_purchases", 3),
        ("total_spent", 100.0),
        ("avg_order_value", 33.333333),
        ("now", NOW),
        ("counts.page_viewed", 4),
        ("counts.email.opened", 2),
        ("counts.never", 0),
        ("last.page_viewed", NOW - 3),
        ("last.never", MISSING),
        ("session.events", 5),
        ("session.pages", 2),
        ("session.duration_minutes", 1.5),
        ("event.type", MISSING),
        ("trigger.type", MISSING),
        ("execution.started_at", MISSING),
        ("execution.last_event.type", MISSING),
    ],
)
def test_a_path_reads_what_it_names(path: str, value: Value) -> None:
    assert read(path, scene(ADA)) == value


@pytest.mark.parametrize("path", ["first_seen", "last_engagement", "last.page_viewed", "now"])
def test_instants_are_told_from_numbers(path: str) -> None:
    assert isinstance(read(path, scene(ADA)), Instant)


def test_without_purchases_the_average_is_nothing_and_without_a_session_it_is_missing() -> None:
    assert (read("avg_order_value", scene()), read("session.events", scene())) == (0.0, MISSING)


def test_an_attribute_wins_over_a_computed_field_and_the_decision_says_so_of_the_score() -> None:
    overridden = scene(Customer(customer_id="ada", attributes={"engagement_score": 12, "email": "crm@example.com"}))
    assert (read("email", overridden), overridden.warnings) == ("crm@example.com", [])
    assert [read("engagement_score", overridden), read("engagement_score", overridden)] == [12, 12]
    assert overridden.warnings == ["engagement_score: the attribute of that name stands in for the computed score"]


ORDER = event(
    {"total": 30, "type": "gift", "session_id": "of the property", "items": {"first": {"sku": "A"}}, "none": None},
    source="website",
    context={"page": {"path": "/"}},
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "order_completed"),
        ("event_id", "e1"),
        ("customer_id", "ada"),
        ("anonymous_id", MISSING),
        ("source", "website"),
        ("session_id", "of the property"),
        ("occurred_at", NOW - 5),
        ("received_at", MISSING),
        ("total", 30),
        ("properties.type", "gift"),
        ("items.first.sku", "A"),
        ("properties.items.first.sku", "A"),
        ("properties.items.second", MISSING),
        ("context.page.path", "/"),
        ("context.page.query", MISSING),
        ("none", None),
        ("nothing", MISSING),
    ],
)
@pytest.mark.parametrize("root", ["event", "trigger", "execution.last_event"])
def test_an_event_reads_the_same_wherever_it_stands(root: str, name: str, value: Value) -> None:
    at = {
        "event": scene(event=ORDER),
        "trigger": scene(execution=execution(keep_event(ORDER))),
        "execution.last_event": scene(execution=execution(NO_EVENT, keep_event(ORDER))),
    }[root]
    found = read(f"{root}.{name}", at)
    assert (found, type(found) is Instant) == (value, name == "occurred_at")


def test_an_execution_tells_of_itself() -> None:
    at = scene(execution=execution(NO_EVENT))
    assert [read(f"execution.{name}", at) for name in ("workflow_id", "started_at", "last_send_at")] == [
        "welcome",
        NOW - 100,
        MISSING,
    ]


def test_a_timer_leaves_no_trigger() -> None:
    assert read("trigger.type", scene(execution=execution(NO_EVENT))) is MISSING


def test_a_scene_that_moves_on_reads_nothing_stale() -> None:
    at = scene(event=event({"n": 1}), execution=execution(keep_event(event({"n": 2})), keep_event(event({"n": 3}))))
    paths = ("event.n", "trigger.n", "execution.last_event.n")
    first = [read(path, at) for path in paths]
    at.event = event({"n": 4})
    at.execution = execution(keep_event(event({"n": 5})), keep_event(event({"n": 6})))
    second = [read(path, at) for path in paths]
    at.event, at.execution = None, None
    assert (first, second) == ([1, 2, 3], [4, 5, 6])
    assert [read(path, at) for path in paths] == [MISSING] * 3


@pytest.mark.parametrize("path", ["", "a..b", ".a", "a.", "event.", "session.nothing", "execution.nothing"])
def test_what_no_field_can_be_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"empty part|unknown"):
        compile_field(path)


def test_a_value_leaves_as_json() -> None:
    values: list[Value] = [Instant(NOW), MISSING, None, 5, "a"]
    assert [plain(value) for value in values] == ["2026-01-01T00:00:00.000Z", None, None, 5, "a"]


def test_all_properties_and_the_whole_context_are_fields_too() -> None:
    seen = scene(event=event({"a": 1}, context={"page": {"url": "x"}}))
    assert plain(compile_field("event.properties")(seen)) == {"a": 1}
    assert plain(compile_field("event.context")(seen)) == {"page": {"url": "x"}}
    assert plain(compile_field("event.context.page.url")(seen)) == "x"
