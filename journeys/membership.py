"""Who is in which segment: memberships follow their conditions, on every event that touches them and as time passes.

The state holds, of each segment whose condition time can change, the instant of its next flip; the soonest of them
is part of the customer's deadline. The first time that a segment is computed for a customer she becomes a member in
silence: she didn't enter it, it came to her.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Final

from journeys.changes import membership_change
from journeys.profile import join_segment, leave_segment
from journeys.reads import SEGMENTS
from journeys.scene import Scene
from journeys.timing import customer_zone
from journeys.turn import Turn
from journeys.watching import Rule
from schemas.instants import Millis

BY_CONDITION: Final = "condition"


def scene_of(turn: Turn) -> Scene:
    """Make a scene with nothing but the customer in it, in her zone."""
    preferences, default = turn.customer.preferences, turn.catalogue.settings.default_timezone
    return Scene(
        customer=turn.customer,
        now=turn.now,
        half_life_ms=turn.catalogue.half_life_ms,
        zone=customer_zone(preferences, default) if preferences else default,
    )


def settle(turn: Turn, touched: Sequence[Rule], caused_at: Millis | None = None) -> None:
    """Look at memberships again, and at those that depend on one that changed.

    Args:
        turn: the decision in the making.
        touched: rules of segments, in their order.
        caused_at: when the event occurred that touched them; None where none did.
    """
    if not touched:
        return
    scene, waiting = scene_of(turn), [rule.position for rule in reversed(touched)]
    rules = turn.catalogue.watch.segments
    while waiting:
        rule = rules[waiting.pop()]
        if _look(turn, rule, scene, caused_at):
            for reader in turn.catalogue.watch.touched_by((f"{SEGMENTS}.{rule.name}",)).segments:
                if reader.position not in waiting:
                    insort(waiting, reader.position, key=lambda position: -position)


def _look(turn: Turn, rule: Rule, scene: Scene, caused_at: Millis | None) -> bool:
    """Settle one membership, and when it is looked at next; tell whether it changed."""
    customer = turn.customer
    is_member = rule.test(scene)
    _note_flip(turn, rule, scene)
    changed = join_segment(customer, rule.name) if is_member else leave_segment(customer, rule.name)
    if changed:
        turn.scene.warnings += scene.warnings
        change = membership_change(rule.name, is_member=is_member, caused_at=caused_at)
        turn.record("profile_changed", detail={f"segment_{change.after}": rule.name, "by": BY_CONDITION})
        turn.note(change)
    scene.warnings = []
    return changed


def _note_flip(turn: Turn, rule: Rule, scene: Scene) -> None:
    flips = turn.customer.segment_flips
    at = None if rule.flip is None else rule.flip(scene)
    if at is not None:
        flips[rule.name] = at
    elif flips:
        flips.pop(rule.name, None)


def settle_due(turn: Turn) -> None:
    """Look at the memberships whose flip has come."""
    flips = turn.customer.segment_flips
    if flips:
        due = [rule for rule in turn.catalogue.watch.segments if flips.get(rule.name, turn.now + 1) <= turn.now]
        settle(turn, due)


def enter_silently(turn: Turn, rules: Iterable[Rule]) -> None:
    """Compute segments for the first time: their members were never outside of them."""
    customer, scene = turn.customer, scene_of(turn)
    for rule in rules:
        if rule.test(scene):
            join_segment(customer, rule.name)
        else:
            leave_segment(customer, rule.name)
        _note_flip(turn, rule, scene)
