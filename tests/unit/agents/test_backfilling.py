"""The shadow of a backfill: who would be where, and what each policy would send."""

import pytest

from agents.backfilling import Backfill, Standing, refused_since, sent_at_hand_over
from agents.what_if import Change
from journeys.backfilling import owned_by
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.events import Json
from schemas.instants import EARLIEST, HOUR_MS, Millis, format_instant
from schemas.staging import PastSends
from tests.journey import HELLO, START, Document, mail, wait, workflow
from tests.property.test_what_if import log

OLD = workflow(mail(), id="old")
NEW = workflow(mail("first", "pause"), wait("pause", "second", duration_hours=24), mail("second"), id="new")


def signed_up(name: str, at: Millis) -> Document:
    moment = format_instant(START + at)
    return {
        "event_id": f"{name}-{at}", "customer_id": name, "type": "signup", "occurred_at": moment,
        "received_at": moment, "source": "website", "properties": {"email": f"{name}@example.com"},
    }  # fmt: skip


def standing(history: list[Document], since: Millis | None = None) -> Standing:
    """Fold a log with the new workflow in it, whose end is the last event."""
    before: list[Json] = [HELLO, OLD]
    whole = definitions_from_documents([*before, NEW])

    def with_it(number: int, at: Millis) -> Catalogue:
        backfilled = {"new": EARLIEST if since is None else since}
        return compile_catalogue(whole, number, activated_at=at, backfilled=backfilled)

    worlds = Backfill(lambda _: compile_catalogue(definitions_from_documents(before), 1), with_it, since)
    for record in log(list(history))[:-1]:
        worlds.take(record)
    worlds.finish()
    return worlds.standing(owned_by(compile_catalogue(whole, 1), whole, "new"), most_open=50)


def test_customers_are_counted_by_the_step_in_which_they_would_stand() -> None:
    found = standing([signed_up("ada", 0), signed_up("bob", 20 * HOUR_MS), signed_up("eve", 30 * HOUR_MS)])
    assert (found.known, found.touched, found.under_way) == (3, 3, 2)
    assert (found.by_step, found.due_soon, found.ended) == ({"pause": 2}, {"pause": 2}, {"completed": 1})
    assert [(one.customer_id, one.step_id) for one in found.past] == [
        ("ada", "first"), ("bob", "first"), ("ada", "second"), ("eve", "first"),
    ]  # fmt: skip


def test_what_came_before_it_would_have_been_there_starts_nothing() -> None:
    history = [signed_up("ada", 0), signed_up("bob", HOUR_MS), signed_up("eve", 2 * HOUR_MS)]
    found = standing(history, START + HOUR_MS)
    assert (found.known, found.touched, found.by_step) == (3, 2, {"pause": 2})


def sent(customer: str, at: Millis) -> Change:
    return Change(
        kind="added", certain=True, send_id=f"{customer}{at}", customer_id=customer, workflow_id="new", step_id="s",
        channel="email", template_id="t", before=None, after=format_instant(START + at),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("skip", []), ("latest", ["ada7", "bob5"]), ("all", ["ada5", "bob5", "ada7"])],
)
def test_each_policy_sends_what_it_says_and_nothing_older(policy: PastSends, expected: list[str]) -> None:
    """A message of exactly the age that is allowed still goes out; one a millisecond older doesn't."""
    past = [sent("ada", 4), sent("eve", 4), sent("ada", 5), sent("bob", 5), sent("ada", 7)]
    found = sent_at_hand_over(past, policy, HOUR_MS, START + 5 + HOUR_MS)
    assert [one.send_id for one in found] == expected


@pytest.mark.parametrize(
    ("since", "sentence"),
    [
        (START - 1, "say --since 2026-01-01T09:00:00.000Z, or later"),
        (START, None),
        (START + HOUR_MS, None),
        (START + HOUR_MS + 1, "`tidings apply` it"),
    ],
)
def test_a_time_of_which_the_log_says_nothing_is_refused_with_what_to_say_instead(
    since: Millis, sentence: str | None
) -> None:
    """The instants of the first and of the last record are in; a millisecond before and after them isn't."""
    found = refused_since(since, begins_at=START, ends_at=START + HOUR_MS)
    assert (found is None) if sentence is None else (found is not None and sentence in found)
