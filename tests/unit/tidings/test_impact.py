"""What `impact` says beforehand is what happens when the edit is applied."""

import pytest

from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.customer import Head, encode_customer
from schemas.editing import Editing, Mode
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS
from tests.journey import HELLO, START, Document, Journey, mail, silence, wait, workflow
from tidings.impact import Group, edited_workflows, grouped, mailed_within, touched

DAY = wait("p", "mail", duration_hours=24)
OTHER = workflow(mail(), id="other", on=[silence(2)])


def following(journey: Journey, *documents: Document, editing: Editing) -> Catalogue:
    before = journey.engine.catalogue
    assert before is not None
    values: list[Json] = [*documents, HELLO]
    return compile_catalogue(
        definitions_from_documents(values), 2, {1: before}, activated_at=START + HOUR_MS, editing=editing
    )


def under_way(*documents: Document) -> Journey:
    journey = Journey(*documents)
    for name in ("ada", "bob"):
        journey.publish("signup", customer=name)
    return journey


@pytest.mark.parametrize(
    ("mode", "edited", "outcome"),
    [
        ("pin", workflow(wait("p", "mail", duration_hours=2), mail()), "stays on version 1"),
        ("drain", workflow(wait("p", "mail", duration_hours=2), mail()), "stays on version 1"),
        ("migrate", workflow(wait("p", "mail", duration_hours=2), mail()), "is timed anew"),
        ("migrate", workflow(DAY, mail(guard={"field": "x", "operator": "exists"})), "moves"),
        ("migrate", workflow(mail("p")), "begins the step anew"),
        ("migrate", workflow(mail()), "ends"),
        ("migrate", workflow(mail(), id="renamed"), "ends"),
    ],
)
def test_everybody_under_way_is_counted_by_step_with_what_becomes_of_them(
    mode: Mode, edited: Document, outcome: str
) -> None:
    journey = under_way(workflow(DAY, mail()), OTHER)
    after = following(journey, edited, OTHER, editing=Editing(mode=mode))
    assert edited_workflows(after) == {"w"}
    found = list(touched([journey.customer("ada"), journey.customer("bob")], after))
    assert grouped(found) == [(Group(workflow_id="w", version=1, step_id="p", outcome=outcome), 2)]


def test_a_workflow_that_stays_the_same_touches_nobody() -> None:
    journey = under_way(workflow(DAY, mail()))
    after = following(journey, workflow(DAY, mail()), OTHER, editing=Editing(mode="migrate"))
    assert list(touched([journey.customer("ada")], after)) == []


@pytest.mark.parametrize(("hours", "mailed"), [(24, 2), (25, 2), (26, 0)])
def test_who_would_be_mailed_within_a_day_is_counted_by_the_rules_themselves(hours: float, mailed: int) -> None:
    """The change comes an hour after the signups; a wait that is over exactly a day later still counts."""
    journey = under_way(workflow(DAY, mail()))
    edited = workflow(wait("p", "mail", duration_hours=hours), mail())
    after = following(journey, edited, editing=Editing(mode="migrate"))
    before = after.predecessors[1]
    states = {
        b"c:" + name.encode(): encode_customer(
            journey.customer(name), Head(catalogue=1, deadline=START + DAY_MS, last_offset=0)
        )
        for name in ("ada", "bob")
    }
    assert mailed_within(states, before, after, START + HOUR_MS, DAY_MS) == mailed
