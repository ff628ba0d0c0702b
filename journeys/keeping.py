"""Keeping stage and memberships up to date: after an event, after an action, as time passes, under new definitions.

The stage first, then the segments, as SPEC 12 says, each only where something that its rules read has changed. What
a catalogue says for the first time is computed in silence for the customers who were there before it.
"""

from collections.abc import Mapping, Sequence

from journeys.catalogue import Catalogue
from journeys.changes import ENTERED, LEFT, attribute_changes, membership_change, stage_change
from journeys.lifecycle import STAGE, advance, advance_by_rules, advance_due, churn_due, move_silently, note_flip
from journeys.membership import enter_silently, scene_of, settle, settle_due
from journeys.reads import SEGMENTS
from journeys.turn import Turn
from journeys.watching import Touched, merged
from schemas.customer import Customer
from schemas.events import Event, Json
from schemas.instants import Millis

_SEGMENT: Mapping[str, str] = {f"segment_{change}": change for change in (ENTERED, LEFT)}


def keep_due(customer: Customer, catalogue: Catalogue) -> Millis | None:
    """Return when time changes the stage or a membership next, or may."""
    watch = catalogue.watch
    if customer.watched_by != watch.number and customer.first_seen is not None:
        return max(customer.now, catalogue.activated_at) + 1
    soonest = churn_due(customer, watch.inactivity_ms)
    if customer.stage_flip is not None:
        soonest = customer.stage_flip if soonest is None else min(soonest, customer.stage_flip)
    if customer.segment_flips:
        first = min(customer.segment_flips.values())
        soonest = first if soonest is None else min(soonest, first)
    return soonest


def keep_under_new_catalogue(turn: Turn) -> None:
    """Compute in silence what the catalogue says for the first time; a new customer has nothing to be computed."""
    customer, watch = turn.customer, turn.catalogue.watch
    known, customer.watched_by = customer.watched_by, watch.number
    if customer.first_seen is None:
        return
    customer.segment_flips.clear()
    move_silently(turn, [rule for rule in watch.stages if rule.since > known])
    enter_silently(turn, [rule for rule in watch.segments if rule.since > known])
    settle(turn, [rule for rule in watch.segments if rule.since <= known])


def keep_after_event(turn: Turn, event: Event, touched: Touched, changed: Sequence[str]) -> None:
    """Follow an event that the profile has learned from.

    Args:
        turn: the decision in the making.
        event: the present one.
        touched: what its type touches.
        changed: the names of what it changed besides.
    """
    watch, names = turn.catalogue.watch, list(changed)
    if names and touched is not watch.everything:
        touched = merged([touched, watch.touched_by(names)])
    if STAGE in names:
        # The word of the CRM stands.
        note_flip(turn, scene_of(turn))
    elif advance(turn, touched.stages, event) and touched is not watch.everything:
        touched = merged([touched, watch.touched_by((STAGE,))])
    settle(turn, touched.segments, event.occurred_at)


def note_crm_changes(turn: Turn, event: Event, stage: str, attributes: Mapping[str, Json]) -> None:
    """Note what a CRM event changed for the triggers that wait for it; given how stage and attributes were before."""
    if not turn.catalogue.changes:
        return
    customer = turn.customer
    for change in attribute_changes(attributes, customer.attributes, event.occurred_at):
        turn.note(change)
    if customer.lifecycle_stage != stage:
        turn.note(stage_change(stage, customer.lifecycle_stage, event.occurred_at))


def keep_after_action(turn: Turn, changed: Mapping[str, Json], before: Mapping[str, Json]) -> None:
    """Follow an action of an execution.

    Args:
        turn: the decision in the making.
        changed: what the action says that it changed.
        before: the attributes as they were.
    """
    names: list[str] = []
    for key, value in changed.items():
        change = _SEGMENT.get(key)
        if change is not None:
            names += [SEGMENTS, f"{SEGMENTS}.{value}"]
            turn.note(membership_change(str(value), is_member=change == ENTERED))
        else:
            assert isinstance(value, list)  # noqa: S101 -- an action says which attributes it changed, or which segment
            names += map(str, value)
            for one in attribute_changes(before, turn.customer.attributes) if turn.catalogue.changes else ():
                turn.note(one)
    touched = turn.catalogue.watch.touched_by(names)
    if advance_by_rules(turn, touched.stages):
        touched = merged([touched, turn.catalogue.watch.touched_by((STAGE,))])
    settle(turn, touched.segments)


def keep_in_time(turn: Turn, since: Millis) -> None:
    """Follow time, which has come from `since` to now."""
    if advance_due(turn, since):
        settle(turn, turn.catalogue.watch.touched_by((STAGE,)).segments)
    settle_due(turn)
