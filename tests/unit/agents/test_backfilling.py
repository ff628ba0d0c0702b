"""The shadow of a backfill: who would be where, and what each policy would send."""

import msgspec
import pytest

from agents.backfilling import Backfill, Standing, refused_since, sent_at_hand_over
from agents.what_if import Change
from journeys.backfilling import left_behind, owned_by
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.events import Json
from schemas.instants import EARLIEST, HOUR_MS, Millis, format_instant
from schemas.staging import PastSends
from tests.journey import HELLO, START, Document, action, is_, mail, segment_change, wait, workflow
from tests.property.test_what_if import log

OLD = workflow(mail(), id="old")
NEW = workflow(mail("first", "pause"), wait("pause", "second", duration_hours=24), mail("second"), id="new")


def signed_up(name: str, at: Millis) -> Document:
    moment = format_instant(START + at)
    return {
        "event_id": f"{name}-{at}", "customer_id": name, "type": "signup", "occurred_at": moment,
        "received_at": moment, "source": "website", "properties": {"email": f"{name}@example.com"},
    }  # fmt: skip


def standing(
    history: list[Document], since: Millis | None = None, *, new: Document = NEW, others: tuple[Document, ...] = (),
    most_open: int = 50,
) -> Standing:  # fmt: skip
    """Fold a log with the new workflow in it, whose end is the last event."""
    before: list[Json] = [HELLO, OLD, *others]
    whole = definitions_from_documents([*before, new])

    def with_it(number: int, at: Millis) -> Catalogue:
        backfilled = {"new": EARLIEST if since is None else since}
        return compile_catalogue(whole, number, activated_at=at, backfilled=backfilled)

    worlds = Backfill(lambda _: compile_catalogue(definitions_from_documents(before), 1), with_it, since)
    for record in log(list(history))[:-1]:
        worlds.take(record)
    worlds.finish()
    return worlds.standing(owned_by(compile_catalogue(whole, 1), whole, "new"), most_open=most_open)


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


VIP: Document = {"kind": "segment", "id": "vip"}
CAP: Document = {"kind": "settings", "frequency_caps": [{"max": 2, "per_hours": 24, "channel": "email"}]}
PAUSE = wait("pause", duration_hours=24)
LATER = workflow(wait("while", "later", duration_hours=1), mail("later"), id="later")
WAITS = workflow(wait("long", duration_hours=48), id="waits")
FOR_VIPS = workflow(PAUSE, id="for_vips", on=[segment_change("vip")])


@pytest.mark.parametrize(
    ("new", "others", "most_open", "reasons"),
    [
        pytest.param(workflow(PAUSE, id="new"), (), 50, (), id="nothing"),
        pytest.param(NEW, (), 50, ("best_hours",), id="its mails tell of best hours"),
        pytest.param(
            workflow(mail("first", "pause", when=is_("engagement_score", "gte", 0)), PAUSE, id="new"), (), 50,
            ("best_hours", "engagement"), id="it looks at engagement",
        ),
        pytest.param(
            workflow(action("add", "add_to_segment", "pause", segment_id="vip"), PAUSE, id="new"), (VIP,), 50,
            ("profile",), id="it writes",
        ),
        pytest.param(
            workflow(action("add", "add_to_segment", "pause", segment_id="vip"), PAUSE, id="new"), (VIP, FOR_VIPS), 50,
            ("other_workflows", "profile"), id="another workflow would have begun",
        ),
        pytest.param(workflow(PAUSE, id="new"), (WAITS,), 1, ("room",), id="there is no room"),
    ],
)  # fmt: skip
def test_whoever_would_stand_elsewhere_is_told_with_the_reason(
    new: Document, others: tuple[Document, ...], most_open: int, reasons: tuple[str, ...]
) -> None:
    history = [signed_up("ada", 0), signed_up("eve", 2 * HOUR_MS)]
    found = standing(history, new=new, others=others, most_open=most_open).differing
    assert found.get("ada", ()) == reasons


def test_messages_that_a_cap_would_have_kept_from_others_are_told() -> None:
    """Two mails went out in truth; beside the new workflow's the second would have found the cap used up."""
    history = [signed_up("ada", 0), signed_up("eve", 2 * HOUR_MS)]
    found = standing(history, new=workflow(mail("first"), id="new"), others=(CAP, LATER))
    assert "caps" in found.differing["ada"]
    told = [(one.customer_id, one.workflow_id, one.kind, one.reason) for one in found.others]
    assert told == [("ada", "later", "gone", "send_suppressed: frequency_cap")]


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


def test_a_value_written_again_at_another_time_is_another_profile() -> None:
    """What a customer says of before then counts in one world, and is too old in the other."""
    whole = definitions_from_documents([HELLO, NEW])
    owned = owned_by(compile_catalogue(whole, 1), whole, "new")
    here = Customer(customer_id="ada", first_seen=START, attributes={"plan": "pro"}, attribute_times={"plan": START})
    there = msgspec.structs.replace(here, attribute_times={"plan": START + HOUR_MS})
    assert left_behind(here, here, owned) == set()
    assert left_behind(there, here, owned) == {"profile"}
