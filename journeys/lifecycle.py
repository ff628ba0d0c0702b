"""The lifecycle stage: forward by rules, to `churned` by inactivity, back from there by activity.

A stage's rule is looked at when something that it reads changes, and at its flips; where it holds, and the stage
lies further on, the customer moves there. The word of the CRM stands until then, whichever way it moved her. Out of
`churned` leads only activity (or the CRM), to the furthest stage whose rule holds then. What occurred before the word
of the CRM and comes late was known to whoever said it, so it moves nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from journeys.changes import stage_change
from journeys.membership import scene_of
from journeys.profile import ENGAGED, TOLD_AT
from journeys.scene import Scene
from journeys.turn import Turn
from journeys.watching import CHURNED, STAGES, Rule
from schemas.customer import Customer
from schemas.events import Event
from schemas.instants import Millis

STAGE: Final = "lifecycle_stage"
_RANK: Final[Mapping[str, int]] = {stage: place for place, stage in enumerate(STAGES)}


def churn_due(customer: Customer, inactivity_ms: Millis | None) -> Millis | None:
    """Return when the customer will have been inactive for so long; None if she has churned, or that has passed."""
    began = customer.last_activity
    if inactivity_ms is None or began is None or customer.lifecycle_stage == CHURNED:
        return None
    due_at = began + inactivity_ms
    # What the CRM said behind that instant stands.
    return due_at if due_at > customer.now else None


def advance(turn: Turn, touched: Sequence[Rule], event: Event) -> bool:
    """Take an event into account that the profile has learned from; tell whether the stage changed."""
    customer, inactivity_ms = turn.customer, turn.catalogue.watch.inactivity_ms
    is_activity = event.stream == "behavioral" or (event.type in ENGAGED and event.stream != "workflow")
    was_long_ago = inactivity_ms is not None and turn.now - event.occurred_at >= inactivity_ms
    if is_activity and was_long_ago and event.occurred_at == customer.last_activity:
        # The latest activity that is known, and it came too late to put the silence off.
        return _move(turn, CHURNED, event.occurred_at, event.occurred_at)
    if event.occurred_at < customer.attribute_times.get(TOLD_AT, event.occurred_at):
        if touched:
            note_flip(turn, scene_of(turn))
        return False
    if customer.lifecycle_stage == CHURNED:
        return is_activity and not was_long_ago and _return(turn, event)
    return advance_by_rules(turn, touched, event.occurred_at)


def advance_by_rules(turn: Turn, touched: Sequence[Rule], caused_at: Millis | None = None) -> bool:
    """Look at the rules that something touched; tell whether the stage changed.

    Args:
        turn: the decision in the making.
        touched: the rules.
        caused_at: when the event occurred that touched them; None where an action did.
    """
    stage = turn.customer.lifecycle_stage
    if not touched or stage == CHURNED:
        return False
    scene = scene_of(turn)
    note_flip(turn, scene)
    return _move(turn, _furthest(touched, scene, stage), turn.now if caused_at is None else caused_at, caused_at)


def _return(turn: Turn, event: Event) -> bool:
    """Bring a churned customer back to the stage that the rules give, unless one of them keeps her where she is."""
    scene, rules = scene_of(turn), turn.catalogue.watch.stages
    note_flip(turn, scene)
    return _move(turn, _furthest(rules, scene, STAGES[0]), event.occurred_at, event.occurred_at)


def advance_due(turn: Turn, since: Millis) -> bool:
    """Take into account that time has come from `since` to now; tell whether the stage changed."""
    customer, watch = turn.customer, turn.catalogue.watch
    stage = customer.lifecycle_stage
    if customer.stage_flip is not None and customer.stage_flip <= turn.now:
        scene = scene_of(turn)
        note_flip(turn, scene)
        if stage != CHURNED:
            stage = _furthest([rule for rule in watch.stages if rule.flip is not None], scene, stage)
    if watch.inactivity_ms is not None and customer.last_activity is not None:
        silent_at = customer.last_activity + watch.inactivity_ms
        stage = CHURNED if since < silent_at <= turn.now else stage
    return _move(turn, stage, turn.now)


def note_flip(turn: Turn, scene: Scene) -> None:
    """Note when time can change the answer of a rule next."""
    flips = [rule.flip(scene) for rule in turn.catalogue.watch.stages if rule.flip is not None]
    turn.customer.stage_flip = min((at for at in flips if at is not None), default=None)


def move_silently(turn: Turn, rules: Iterable[Rule]) -> None:
    """Look at rules for the first time: what they say was so before they were there."""
    customer, scene = turn.customer, scene_of(turn)
    customer.lifecycle_stage = _furthest(rules, scene, customer.lifecycle_stage)
    note_flip(turn, scene)


def _furthest(rules: Iterable[Rule], scene: Scene, stage: str) -> str:
    """Return the furthest of a stage and those whose rule holds."""
    for rule in rules:
        if _RANK[rule.name] > _RANK[stage] and rule.test(scene):
            stage = rule.name
    return stage


def _move(turn: Turn, stage: str, at: Millis, caused_at: Millis | None = None) -> bool:
    customer, before = turn.customer, turn.customer.lifecycle_stage
    if stage == before:
        return False
    customer.lifecycle_stage, customer.stage_at = stage, at
    customer.attribute_times.pop(TOLD_AT, None)
    change = stage_change(before, stage, caused_at)
    turn.record("profile_changed", detail={"changed": [STAGE], **change.detail()})
    turn.note(change)
    return True
