"""`explain` names the check that kept a customer out, and the value it found; what it can't tell it refuses."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.following import Story, follow_events
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import (
    START,
    Document,
    absence,
    after,
    attribute_change,
    compiled,
    dated,
    event,
    frequency,
    is_,
    mail,
    score,
    sequence,
    session,
    signup,
    silence,
    trigger,
    wait,
    workflow,
)
from tests.unit.agents.test_resuming import story as backfilled
from tidings.cli import app
from tidings.commands.explain import told

EXAMPLE = Path(__file__).parents[3] / "examples" / "welcome"
Given = tuple[str, Millis, Document]


def story(documents: Sequence[Document], *given: Given, until: Millis | None = None, customer: str = "ada") -> Story:
    """Follow a customer through events: type, time since START, and envelope."""
    events = []
    for number, (kind, at, envelope) in enumerate(given):
        written: Document = {"event_id": f"e{number}", "customer_id": "ada", **envelope}
        arrives = written.pop("arrives", None)
        properties = written.pop("properties", {"email": "ada@shop.example"})
        assert isinstance(properties, dict)
        assert arrives is None or isinstance(arrives, int)
        events.append(event(kind, at, arrives=arrives, properties=properties, **written))
    stop = None if until is None else START + until
    return follow_events(compiled(*documents), events, f"c:{customer}".encode(), stop)


UP: Given = ("signup", 0, {})
FREE: Given = ("signup", 0, {"source": "app", "properties": {"plan": "free", "total": 3}})
WAITING = workflow(wait("w", "m", duration_hours=48), mail("m"))
VIP_PLAN: Document = {"all": [is_("event.total", "gt", 1), is_("event.plan", "in", ["team", "pro"])]}
EITHER: Document = {"any": [is_("event.plan", "eq", "team"), is_("event.total", "gte", 5)]}
NOT_FREE: Document = {"not": is_("event.plan", "eq", "free")}


@pytest.mark.parametrize(
    ("document", "given", "words"),
    [
        (workflow(), [("page_viewed", 0, {})], "no signup event of hers came; those that came: page_viewed (1)"),
        (workflow(on=[trigger(equals={"source": "web"})]), [FREE], '`event.source` is "app"; `eq "web"` is wanted'),
        (workflow(on=[signup(where=VIP_PLAN)]), [FREE], '`event.plan` is "free"; `in ["team","pro"]` is wanted'),
        (workflow(on=[signup(where=EITHER)]), [FREE], '"free"; `eq "team"` is wanted; or `event.total` is 3; `gte 5` is'),
        (workflow(on=[signup(where=NOT_FREE)]), [FREE], "this must not hold and does: `event.plan`"),
        (workflow(on=[signup(where=is_("city", "exists"))]), [UP], "`city` is missing; `exists` is wanted"),
        (workflow(on=[signup(where=is_("", "in_segment", "vip") | {"field": None})]), [UP], "segments is []; `in_segment"),
        (workflow(), [("signup", 0, {"arrives": 80 * HOUR_MS})], f"event_too_old: the event occurred at {after(0)}, more than 72"),
        (workflow(holdout_percent=100), [UP], "holdout: she is held out (w) at place"),
        (workflow(exit_conditions=[is_("event.plan", "eq", "free")]), [FREE], "exit_condition: exit condition 0 holds at the start"),
        (workflow(execution_key="event.order_id"), [UP], "no_key: the event has no event.order_id"),
        (workflow() | {"enabled": False}, [UP], "the workflow is switched off"),
        (workflow(on=[signup() | {"enabled": False}]), [UP], "the first trigger: it is switched off"),
        (workflow(on=[frequency("signup", 3, 60)]), [UP, ("signup", MINUTE_MS, {})], "2 such signup at most within 60 minutes"),
        (workflow(on=[score(50)]), [UP], "`engagement_score` was 10.0 at most"),
        (workflow(on=[session("pages", 4)]), [("page_viewed", 0, {})], "`session.pages` was 1 at most"),
        (workflow(on=[sequence("signup", "order_completed")]), [UP], "order_completed never came"),
        (workflow(on=[silence(24)]), [UP], f"24 hours of silence are over at {after(DAY_MS)}"),
        (workflow(on=[silence(24, where=is_("city", "exists"))]), [UP], "`city` is missing; `exists` is wanted"),
        (workflow(on=[absence("cart_updated", "order_completed", 60)]), [("cart_updated", 0, {}), ("order_completed", MINUTE_MS, {})], f"was followed by order_completed at {after(MINUTE_MS)}"),
        (workflow(on=[attribute_change(attribute="plan", to="pro")]), [UP], "`plan` (now null) never changed"),
        (workflow(on=[dated("birthday")]), [UP], "`birthday` is missing, so no date is known"),
    ],
    ids=str,
)  # fmt: skip
def test_why_not_names_the_check_and_the_value(document: Document, given: list[Given], words: str) -> None:
    """For each kind of 'why not', the text has what was wanted and what was found."""
    until = 2 * DAY_MS if "where" in str(document) and "inactivity" in str(document) else None
    lines = list(told(story([document], *given, until=until)))
    behind = lines[lines.index("What never began, and why") :]
    assert any(words in line for line in behind), "\n".join(behind)


@pytest.mark.parametrize(
    ("document", "given", "words"),
    [
        (WAITING, [UP, ("signup", HOUR_MS, {})], "already_active: she is in it already (x"),
        (workflow(), [UP, ("signup", HOUR_MS, {})], f"re_entry: she was in it until {after(0)}"),
        (workflow(re_entry={"after_hours": 5}), [UP, ("signup", HOUR_MS, {})], f"may come again from {after(5 * HOUR_MS)} on"),
        (workflow(on=[signup(cooldown_hours=3)], allow_multiple_executions=True), [UP, ("signup", HOUR_MS, {})], f"cooldown: it started last at {after(0)} and cools down until {after(3 * HOUR_MS)}"),
    ],
    ids=str,
)  # fmt: skip
def test_a_second_start_that_was_refused_is_told_where_it_happened(
    document: Document, given: list[Given], words: str
) -> None:
    """The refusal stands behind its event, each time and not once a day."""
    twice = [*given, ("signup", HOUR_MS + 1, {})]
    lines = list(told(story([document], *twice)))
    assert sum(words in line for line in lines) == 2, "\n".join(lines)


def test_it_tells_where_she_stands_and_what_comes_next_without_changing_anything() -> None:
    """The future is told from a copy: told twice, it is the same; and it is what happens then."""
    found = story([WAITING], UP)
    lines = list(told(found))
    assert f"  w: in step w since {after(0)}, waits for {after(2 * DAY_MS)}" in lines
    future = lines[lines.index("If nothing happens") :]
    assert f"  {after(2 * DAY_MS)}  time passes" in future
    assert any("email" in line and "goes out to ada@shop.example" in line for line in future)
    assert list(told(found)) == lines
    later = list(told(story([WAITING], UP, until=2 * DAY_MS)))
    assert any("goes out to ada@shop.example" in line for line in later[: later.index("Where she stands")])


@pytest.mark.parametrize(("until", "mails"), [(2 * DAY_MS - 1, 0), (2 * DAY_MS, 1), (2 * DAY_MS + 1, 1)])
def test_at_stands_exactly_on_its_instant(until: Millis, mails: int) -> None:
    """What is due at T belongs to T, and a millisecond before it hasn't happened."""
    lines = list(told(story([WAITING], UP, until=until)))
    past = lines[: lines.index("Where she stands")]
    assert sum("goes out to ada@shop.example" in line for line in past) == mails


def test_others_are_left_out() -> None:
    """Another customer's events and messages aren't hers."""
    found = story([workflow()], UP, ("signup", 5, {"customer_id": "bob"}))
    assert [step.event.customer_id for step in found.steps if step.event is not None] == ["ada"]
    assert found.others == ["ada", "bob"]


def test_a_backfill_is_told_where_it_reached_her_and_its_workflow_has_begun() -> None:
    """One goes over with her past, one begins without it; what stands for them never counts as never begun."""
    lines = list(told(backfilled("bob", 0)))
    place = lines.index(f"{after(8 * HOUR_MS)}  a backfill reaches her")
    assert lines[place + 1].startswith(
        "    new: as if it had been there all along, she stands in step pause (execution x"
    )
    for name in ("ada", "bob", "eve"):
        assert "What never began, and why" not in told(backfilled(name, 0))
    lines = list(told(backfilled("eve", 0)))
    place = lines.index(f"{after(20 * HOUR_MS)}  a backfill reaches her")
    assert lines[place + 1] == "    workflow new begins for her without what came before"


def explained(*words: str) -> tuple[int, str]:
    """Run the command over the shipped example; return the exit code and all that was said."""
    files = ["--definitions", str(EXAMPLE), "--events", str(EXAMPLE / "events.ndjson")]
    result = CliRunner().invoke(app, ["explain", *words, *files])
    return result.exit_code, result.output + str(result.exception or "")


def test_a_send_is_explained_by_its_execution() -> None:
    """With --send the text has what led to that message, and nothing of other workflows."""
    code, said = explained("ada")
    assert code == 0
    send = said.partition(", send ")[2].partition(")")[0]
    code, own = explained("ada", "--send", send)
    assert code == 0
    assert f"send {send})" in own
    assert "begins (execution" in own
    assert "Where she stands" not in own


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["adda"], "nothing is known of a customer adda up to 2026-"),
        (["adda"], "did you mean ada"),
        (["ada", "--workflow", "welcom"], "there is no workflow welcom in force; there are: welcome-series"),
        (["ada", "--at", "2020-01-01T00:00:00Z"], "nothing had happened yet up to 2020-01-01T00:00:00.000Z"),
        (["ada", "--send", "s123"], "she got no message s123 by then; the last she got: s"),
    ],
)
def test_nonsense_is_refused_with_what_to_do_instead(words: list[str], expected: str) -> None:
    """An unknown customer, workflow, message or time ends with 1 and a sentence."""
    code, said = explained(*words)
    assert code == 1
    assert expected in said
