"""The decision engine: what one input does to one customer, and when she next needs to be looked at.

    decide(customer, input, catalogue, now) -> effects        deadline(customer, catalogue) -> instant | None

Both are pure in the sense that counts: nothing but their arguments has an influence, so folding the same inputs
again gives the same state, the same effects, the same ids and times. `decide` changes the customer it is given;
a caller that needs the old state keeps the bytes.

An input is an event, or `DUE`: time has come to `now`. A caller fires `decide(customer, DUE, …, deadline)` for
every deadline up to an event's time before it hands the event over. After every decision the deadline lies later
than `now`, or there is none.

The order within an event is SPEC 12: dedupe, profile and history, running executions in the order of their
start, then triggers by priority. The order of timers due at one instant: expiry, sends, waits, triggers.
"""

from collections.abc import Iterator, Mapping
from typing import Final, assert_never

import msgspec

from journeys import absences, places, profile, sequences
from journeys.absences import LATE_DEADLINE_MS, AwaitedAbsence
from journeys.addresses import take_verification
from journeys.answer_hours import RESPONSES, count_response, hour_of
from journeys.catalogue import Catalogue, CompiledTrigger, Plan, timer_rank
from journeys.changes import AwaitedChange, Change, membership_change
from journeys.commands import held_deadline, is_due, is_named
from journeys.compiled import (
    add_place,
    advance_relaxed,
    advance_strict,
    count_raises,
    observe,
    seen_before,
    silent_deadline,
    take_quietly,
)
from journeys.conditions import remember
from journeys.executions import end, resume, start, take_event, workflow_of
from journeys.experiments import assigned
from journeys.forgetting import FORGOTTEN, forget_due, forget_visitor
from journeys.frequency import forget
from journeys.judging import attribute, attribute_in_time, concerns, judge, judge_in_time, may_hold, next_flip
from journeys.keeping import keep_after_event, keep_due, keep_in_time, keep_under_new_catalogue, note_crm_changes
from journeys.migrating import migrate
from journeys.occasions import LocalTime, due_occasions, next_occasion
from journeys.reads import SEGMENTS
from journeys.reopening import compare, is_late_for, reopen
from journeys.rising import Rise, levels, may_rise, moves, rises_of
from journeys.scene import Scene
from journeys.schedules import Cron, DateRule
from journeys.sequences import Sequence
from journeys.starting import Firing, execution_key, is_first_of_day, refusal
from journeys.thresholds import CERTAIN, Threshold
from journeys.timing import customer_zone
from journeys.turn import Turn
from journeys.uniting import delete, inherit_suppressions, is_before_deletion
from journeys.watching import CHURNED, INACTIVITY_MS, NOTHING
from schemas.customer import (
    MAX_SEGMENTS,
    NO_DEADLINE,
    Absence,
    Customer,
    Execution,
    SequenceMemory,
    Visit,
)
from schemas.decisions import Effect
from schemas.events import CRM_TYPES, WEBHOOK_ANSWERED, Event, Json
from schemas.instants import Millis, as_text, format_instant, utc_day
from schemas.kept_events import NO_EVENT, keep_event, kept_event
from schemas.log import Command

Awaited = tuple[CompiledTrigger, Change]
"""A trigger, and the change that it waited for."""


class Due(msgspec.Struct, frozen=True):
    """The input that says: time has come to `now`.

    Where what was due is late, `now` lies behind the instant that time has come to, `until`: what is due between the
    two isn't fired, for an event that is still to come may cancel it.
    """

    until: Millis | None = None
    """None: `now`."""


class Granted(msgspec.Struct, frozen=True):
    """The input that says: every firing that waited for a place has its answer."""


DUE: Final = Due()
GRANTED: Final = Granted()

_NO_RISES: Final[Mapping[str, Rise]] = {}
_NO_CHANGES: Final[Mapping[str, Awaited]] = {}


def decide(
    customer: Customer, entry: Event | Due | Granted | Command | Catalogue, catalogue: Catalogue, now: Millis
) -> list[Effect]:
    """Fold one input into the customer and return what was decided, in order.

    Args:
        customer: the state; changed in place.
        entry: an event of this customer (its `occurred_at` may be clamped in place), `DUE`, `GRANTED`, or a command
            that concerns her executions; the catalogue itself lets her executions move to it.
        catalogue: the catalogue in force.
        now: the decision time, never before the customer's previous one.
    """
    if isinstance(entry, Event):
        return _decide_event(customer, entry, catalogue, now)
    if isinstance(entry, Command):
        return _decide_command(customer, entry, catalogue, now)
    if isinstance(entry, Catalogue):
        return _decide_migration(customer, entry, now)
    if isinstance(entry, Granted):
        return _decide_granted(customer, catalogue, now)
    due_at, until = deadline(customer, catalogue), now if entry.until is None else entry.until
    if due_at is None or due_at > until:
        return []
    return _decide_due(customer, catalogue, now, until)


def deadline(customer: Customer, catalogue: Catalogue) -> Millis | None:
    """Return the next instant at which the customer needs to be looked at without an event."""
    plan = catalogue.quiet.silences
    if plan is not None:
        due_at = silent_deadline(customer, plan)
        if due_at is not ...:  # pragma: no cover -- coverage is that of the twins, who don't know it
            return due_at
    soonest = next_occasion(customer, catalogue) if catalogue.schedules or catalogue.dates else NO_DEADLINE
    if customer.executions:
        soonest = min(soonest, _executions_due(customer, catalogue))
    if catalogue.flips and (customer.executions or customer.attributable):
        soonest = _sooner(soonest, next_flip(customer, catalogue))
    for trigger in catalogue.silences:
        due_at = _silence_due(customer, trigger, catalogue)
        if due_at is not None and due_at < soonest:
            soonest = due_at
    for absence in customer.absences:
        if absence.due_at < soonest and absence.trigger in catalogue.absences:
            soonest = absence.due_at
    soonest = _sooner(soonest, keep_due(customer, catalogue))
    if customer.is_visitor:
        soonest = NO_DEADLINE if customer.is_forgotten else _sooner(soonest, forget_due(customer))
    return None if soonest == NO_DEADLINE else soonest


def _executions_due(customer: Customer, catalogue: Catalogue) -> Millis:
    soonest, holds = NO_DEADLINE, catalogue.holds
    for execution in customer.executions:
        soonest = min(soonest, execution.expires_at)
        if holds is not None or execution.paused_at is not None:
            soonest = min(soonest, held_deadline(execution, holds, customer.now))
            continue
        for visit in execution.branches:
            if visit.due_at is not None and visit.due_at < soonest:
                soonest = visit.due_at
    return soonest


def _sooner(soonest: Millis, due_at: Millis | None) -> Millis:
    return due_at if due_at is not None and due_at < soonest else soonest


# Events -------------------------------------------------------------------------------------------------------


def _decide_event(customer: Customer, event: Event, catalogue: Catalogue, now: Millis) -> list[Effect]:
    identity = take_quietly(customer, event, catalogue.quiet.plans, now)
    if identity is None:
        return []  # pragma: no cover -- coverage is that of the twins, who take nothing
    if seen_before(customer, identity, now):
        catalogue.unrecorded.repeats += 1
        return []
    customer.now = now
    if customer.bonds is not None and is_before_deletion(customer, event):
        return _drop(customer, event, catalogue, now)
    if event.occurred_at > now:
        profile.clamp(event, now)
    scene = Scene(customer=customer, now=now, half_life_ms=catalogue.half_life_ms, event=event)
    turn = Turn(customer=customer, catalogue=catalogue, now=now, cause=event.event_id, scene=scene)
    # What the CRM says about a customer is no activity of anybody, so no machine's either.
    if event.machine and event.type not in CRM_TYPES:
        return turn.effects
    if customer.watched_by != catalogue.watch.number:
        keep_under_new_catalogue(turn)
    _apply(turn, event)
    return turn.effects if turn.emitted is None else _apply_emitted(turn)


def _apply(turn: Turn, event: Event) -> None:
    customer, catalogue = turn.customer, turn.catalogue
    is_new = customer.first_seen is None
    plan = catalogue.plans.get(event.type, catalogue.unnamed)
    before = levels(customer, catalogue) if catalogue.rises and moves(customer, event, plan.weight, catalogue) else None
    changed = _learn(turn, event, plan)
    if customer.first_seen is None:
        # Deleted by this event: nobody is left who could react to it.
        return
    touched = plan.behavioral if event.stream == "behavioral" else plan.otherwise
    if is_new:
        touched = catalogue.watch.everything
        customer.is_visitor = event.customer_id is None
    is_late = event.occurred_at <= turn.now - INACTIVITY_MS
    if changed or touched is not NOTHING or is_late or customer.lifecycle_stage == CHURNED:
        keep_after_event(turn, event, touched, changed)
    if customer.attributable:
        attribute(turn, event)
    if customer.settled:
        compare(turn, event, _learn_whole)
    if customer.executions:
        _move_executions(turn, event)
    place = 0
    if catalogue.has_strict_sequences and event.stream == "behavioral":
        place = add_place(customer.timeline, event.occurred_at)
    rises = _NO_RISES
    if before is not None and may_rise(customer, catalogue):
        rises = rises_of(turn.scene, before, catalogue.rises)
    changes = _take_changes(turn) if turn.changes else _NO_CHANGES
    triggers = _with_others(plan.triggers, rises, changes) if rises or changes else plan.triggers
    _take_triggers(turn, event, triggers, place, rises, changes)
    if turn.changes:
        _fire_changes(turn, event)


def _with_others(
    triggers: tuple[CompiledTrigger, ...], rises: Mapping[str, Rise], changes: Mapping[str, Awaited]
) -> tuple[CompiledTrigger, ...]:
    others = (*(rise.trigger for rise in rises.values()), *(trigger for trigger, _ in changes.values()))
    return tuple(sorted((*triggers, *others), key=lambda trigger: trigger.rank))


def _take_triggers(
    turn: Turn, event: Event, triggers: tuple[CompiledTrigger, ...], place: int, rises: Mapping[str, Rise],
    changes: Mapping[str, Awaited],
) -> None:  # fmt: skip
    """Let the event reach the triggers, in their order.

    Args:
        turn: the decision in the making.
        event: already learned from.
        triggers: those that its type concerns, whose threshold it has reached, or that wait for what it changed.
        place: its place among the behavioral events, where a strict sequence asks for it.
        rises: the thresholds it has reached, by trigger.
        changes: what it has changed, by the trigger that waits for it.
    """
    for trigger in triggers:
        condition = trigger.condition
        if condition is None:
            if trigger.where is not None and not _matches(turn, trigger, event):
                continue
            if not trigger.wanted or _reaches(turn.customer, trigger, event.occurred_at):
                _fire(turn, trigger, event)
        elif isinstance(condition, Sequence):
            if _completes(turn, trigger, condition, event, place):
                _fire(turn, trigger, event)
        else:
            _take_condition(turn, trigger, condition, event, rises, changes)


def _take_condition(
    turn: Turn, trigger: CompiledTrigger, condition: Threshold | AwaitedAbsence | AwaitedChange | Cron | DateRule,
    event: Event, rises: Mapping[str, Rise], changes: Mapping[str, Awaited],
) -> None:  # fmt: skip
    """Let the event reach a trigger that takes more than this one event."""
    match condition:
        case Threshold():
            if _matches(turn, trigger, event):
                rise = rises[trigger.key]
                turn.scene.warnings.extend(rise.warnings)
                _fire(turn, trigger, event, rise.confidence, rise.detail)
        case AwaitedAbsence():
            _await_absence(turn, trigger, condition, event)
        case AwaitedChange():
            _fire_change(turn, trigger, changes[trigger.key][1], event)
        case Cron() | DateRule():
            # Time fires them.
            pass
        case _:
            assert_never(condition)


def _completes(turn: Turn, trigger: CompiledTrigger, sequence: Sequence, event: Event, place: int) -> bool:
    """Take the event into a sequence; its tests are looked at now, whatever completes the sequence later."""
    bits, tests = sequence.standing_for[event.type]
    if tests:
        bits |= _bits_that_hold(turn, trigger, event, tests)
    customer, strict = turn.customer, sequence.strict
    if not bits and (not strict or event.stream == "behavioral"):
        return False
    memory = customer.sequences.get(trigger.memory)
    if memory is None:
        memory = customer.sequences[trigger.memory] = SequenceMemory()
    if not strict:
        return advance_relaxed(memory, sequence, event.occurred_at, bits)
    if event.stream != "behavioral":
        place = sequences.place_between(customer.timeline, event.occurred_at)
    return advance_strict(memory, sequence, place, bits, customer.timeline)


def _bits_that_hold(
    turn: Turn, trigger: CompiledTrigger, event: Event, tests: tuple[tuple[int, sequences.Test], ...]
) -> int:  # fmt: skip
    scene, bits = _look_at(turn, trigger, event), 0
    for bit, test in tests:
        if test(scene):
            bits |= bit
    if scene.warnings:
        # What couldn't be compared belongs to no decision: which event completes the sequence isn't known yet.
        scene.warnings.clear()
    return bits


def _await_absence(turn: Turn, trigger: CompiledTrigger, awaited: AwaitedAbsence, event: Event) -> None:
    """Let the event end what waits for it, then begin to wait itself."""
    customer, at = turn.customer, event.occurred_at
    key = execution_key(turn, trigger, event)
    is_second = event.type == awaited.second
    if is_second:
        absences.cancel(customer, awaited, at, key)
    if event.type == awaited.first:
        _begin_absence(turn, trigger, awaited, event, key)
    if is_second:
        absences.remember(customer, awaited, at, key)


def _begin_absence(
    turn: Turn, trigger: CompiledTrigger, awaited: AwaitedAbsence, event: Event, key: str | None
) -> None:
    catalogue, now = turn.catalogue, turn.now
    if now - event.occurred_at > catalogue.max_event_age_ms or not _matches(turn, trigger, event):
        return
    known, occurred_at = catalogue.absences.keys(), event.occurred_at
    if not absences.begin(turn.customer, awaited, occurred_at, key, lambda: keep_event(event), known, now):
        _reach_bound(turn, "absences", {"workflow_id": trigger.workflow.id, "trigger_id": trigger.trigger_id})


def _apply_emitted(turn: Turn) -> list[Effect]:
    """Apply the events that workflows sent, and those that these led to, each after the effects of its cause."""
    while (event := turn.next_emitted()) is not None:
        _apply(turn, event)
    return turn.effects


def _drop(customer: Customer, event: Event, catalogue: Catalogue, now: Millis) -> list[Effect]:
    """Pass by an event of somebody who was deleted since; its triggers are refused for that."""
    scene = Scene(customer=customer, now=now, half_life_ms=catalogue.half_life_ms, event=event)
    turn = Turn(customer=customer, catalogue=catalogue, now=now, cause=event.event_id, scene=scene)
    today = utc_day(now)
    if customer.refusals.get("event_dropped") != today:
        customer.refusals["event_dropped"] = today
        turn.record("event_dropped", reason="customer_deleted", detail={"event_id": event.event_id})
    for trigger in catalogue.plans.get(event.type, catalogue.unnamed).triggers:
        if trigger.condition is None and not trigger.wanted and _matches(turn, trigger, event):
            _fire(turn, trigger, event)
    return turn.effects


def _learn(turn: Turn, event: Event, plan: Plan) -> list[str]:
    """Take the event into the profile, and into what compiled clauses need to remember; name what changed besides."""
    customer, scene = turn.customer, turn.scene
    if not observe(customer, event, plan.weight, turn.catalogue.half_life_ms, turn.now):
        _reach_bound(turn, "counted_event_types", {"event_type": event.type})
    if event.type in profile.PURCHASES:
        profile.add_purchase(customer, scene.event_properties())
    changed: list[str] = []
    if event.stream == "crm":
        changed = _learn_from_crm(turn, event)
    elif event.stream == "engagement":
        channel = profile.update_consent(customer, event, scene.event_properties())
        changed = [] if channel is None else [f"contacts.{channel}"]
        if event.type in RESPONSES:
            _learn_hour(turn, event)
    # A `customer_updated` has had its say, which may have been to remove an address.
    if event.has_address and event.type != "customer_updated":
        changed += profile.learn_addresses(customer, scene.event_properties())
    if changed and customer.bonds is not None:
        changed += [f"contacts.{channel}" for channel in inherit_suppressions(customer)]
    if changed:
        turn.record("profile_changed", detail={"changed": list(changed), "event_id": event.event_id})
    if plan.clauses:
        _remember_clauses(turn, event, plan)
    return changed


def _learn_hour(turn: Turn, event: Event) -> None:
    """Count an open or a click at the hour at which its message went out, else at its own."""
    customer, at = turn.customer, event.occurred_at
    zone = customer_zone(customer.preferences, turn.catalogue.settings.default_timezone)
    send_id = turn.scene.event_properties().get("send_id")
    customer.hours = count_response(customer.hours, send_id, hour_of(at, zone), at)


def _learn_whole(turn: Turn, event: Event) -> None:
    """Take an event into all that is known of a customer, her stage and memberships among it."""
    plan = turn.catalogue.plans.get(event.type, turn.catalogue.unnamed)
    changed = _learn(turn, event, plan)
    keep_after_event(turn, event, plan.behavioral if event.stream == "behavioral" else plan.otherwise, changed)


def _remember_clauses(turn: Turn, event: Event, plan: Plan) -> None:
    customer, scene = turn.customer, turn.scene
    scene.zone = customer_zone(customer.preferences, turn.catalogue.settings.default_timezone)
    for clause in plan.clauses:
        if clause.where is None or clause.where(scene):
            remember(customer, clause, event.occurred_at)
    # What they couldn't compare belongs to no decision.
    scene.warnings.clear()


def _learn_from_crm(turn: Turn, event: Event) -> list[str]:
    customer, properties = turn.customer, turn.scene.event_properties()
    if event.type == "customer_deleted":
        delete(turn, event)
        return []
    if event.type == "consent_changed":
        channel = profile.update_consent(customer, event, properties)
        return [] if channel is None else [f"contacts.{channel}"]
    if event.type == WEBHOOK_ANSWERED:
        return []
    if event.type in {"segment_entered", "segment_left"}:
        segment_id = properties.get("segment_id")
        if not isinstance(segment_id, str):
            return []
        return _move_by_crm(turn, event, segment_id)
    if event.type == "address_verified":
        return ["email_status"] if take_verification(customer, event.occurred_at, properties) else []
    stage, attributes = customer.lifecycle_stage, customer.attributes.copy() if turn.catalogue.changes else {}
    changed = profile.update_from_crm(customer, event, properties)
    note_crm_changes(turn, event, stage, attributes)
    refused = [name.removesuffix("!") for name in changed if name.endswith("!")]
    if refused:
        _reach_bound(turn, "attributes", {"refused": list(refused)})
    return [name for name in changed if not name.endswith("!")]


def _move_by_crm(turn: Turn, event: Event, segment_id: str) -> list[str]:
    """Take the CRM's word on a membership, unless the segment's condition decides it."""
    if segment_id in turn.catalogue.watch.kept:
        turn.record("profile_refused", reason="segment_has_condition", detail={"segment_id": segment_id})
        return []
    customer, entered = turn.customer, event.type == "segment_entered"
    if entered and len(customer.segments) >= MAX_SEGMENTS and segment_id not in customer.segments:
        _reach_bound(turn, "segments", {"refused": segment_id})
        return []
    if not profile.is_newer(customer, f"{SEGMENTS}.{segment_id}", event.occurred_at):
        return []
    moved = profile.join_segment(customer, segment_id) if entered else profile.leave_segment(customer, segment_id)
    if moved:
        turn.note(membership_change(segment_id, is_member=entered, caused_at=event.occurred_at))
    return [f"segments.{segment_id}"] if moved else []


def _reach_bound(turn: Turn, bound: str, detail: dict[str, Json]) -> None:
    turn.record("bound_reached", reason=bound, detail=detail)


def _move_executions(turn: Turn, event: Event) -> None:
    """Let the event reach the executions that were there before it, in the order of their start."""
    encoded: bytes | None = None
    judges = turn.catalogue.judges
    for execution in list(turn.customer.executions):
        concerned = not judges or concerns(turn, execution, event)
        if judges and concerned:
            judge(turn, execution, event)
        if is_late_for(execution.passed, event.occurred_at) and execution in turn.customer.executions:
            reopen(turn, execution, event, _learn_whole)
        for visit in list(execution.branches):
            # Data that a message lacks, and answers to webhooks, come with events that hold no key.
            looks = concerned or visit.deferred is not None or event.type == WEBHOOK_ANSWERED
            if looks and execution in turn.customer.executions:
                encoded = encoded or keep_event(event)
                take_event(turn, execution, visit, event, encoded)


def _reaches(customer: Customer, trigger: CompiledTrigger, at: Millis) -> bool:
    memory, window_ms, wanted = trigger.memory, trigger.window_ms, trigger.wanted
    instants = customer.windows.get(memory)
    if instants is None:
        instants = customer.windows[memory] = []
    raised = count_raises(
        instants, at, window_ms, wanted, customer.forgotten.get(memory) if customer.forgotten else None
    )
    if len(instants) > trigger.most and (forgotten := forget(instants, window_ms, wanted)) is not None:
        customer.forgotten[memory] = forgotten
    return raised


def _matches(turn: Turn, trigger: CompiledTrigger, event: Event | None) -> bool:
    """Look at a trigger's `where`, with the event in view, in the zone that holds for the workflow."""
    if trigger.where is None:
        return True
    scene = _look_at(turn, trigger, event)
    if trigger.where(scene):
        return True
    # What it couldn't compare belongs to no decision.
    if scene.warnings:
        scene.warnings.clear()
    return False


def _look_at(turn: Turn, trigger: CompiledTrigger, event: Event | None) -> Scene:
    """Turn the scene to a trigger."""
    scene, preferences = turn.scene, turn.customer.preferences
    scene.execution = None
    scene.event = event
    scene.zone = customer_zone(preferences, trigger.workflow.zone) if preferences else trigger.workflow.zone
    return scene


def _fire(
    turn: Turn, trigger: CompiledTrigger, event: Event, confidence: float = CERTAIN, more: dict[str, Json] | None = None
) -> None:
    detail: dict[str, Json] = {
        "event_id": event.event_id,
        "event_type": event.type,
        "occurred_at": format_instant(event.occurred_at),
        "confidence_score": confidence,
        **(more or {}),
    }
    _start_or_refuse(turn, trigger, event.occurred_at, detail, keep_event(event), event)


def _fire_changes(turn: Turn, event: Event | None = None) -> None:
    """Look at the triggers of changes until what they start changes nothing more; each workflow starts once at most."""
    while turn.changes:
        for trigger, change in _take_changes(turn).values():
            _fire_change(turn, trigger, change, event)


def _take_changes(turn: Turn) -> dict[str, Awaited]:
    """Take the changes off the turn; return the triggers that wait for one of them, each with the first, by key."""
    changes, turn.changes = turn.changes, []
    found = ((trigger, [one for one in changes if _waits_for(trigger, one)]) for trigger in turn.catalogue.changes)
    return {trigger.key: (trigger, matching[0]) for trigger, matching in found if matching}


def _waits_for(trigger: CompiledTrigger, change: Change) -> bool:
    return isinstance(trigger.condition, AwaitedChange) and trigger.condition.is_it(change)


def _fire_change(turn: Turn, trigger: CompiledTrigger, change: Change, event: Event | None) -> None:
    """Fire for a change; the event in view counts as its cause where it led to it without an action in between."""
    cause = None if change.caused_at is None else event
    if not _matches(turn, trigger, cause):
        return
    detail: dict[str, Json] = {**change.detail(), "confidence_score": 1.0}
    if cause is not None:
        detail = {"event_id": cause.event_id, "event_type": cause.type, **detail}
    _start_or_refuse(turn, trigger, change.caused_at, detail, NO_EVENT if cause is None else keep_event(cause), cause)


def _start_or_refuse(
    turn: Turn, trigger: CompiledTrigger, caused_at: Millis | None, detail: dict[str, Json], encoded: bytes,
    event: Event | None = None,
) -> None:  # fmt: skip
    """Start an execution for a firing, or record why none starts; `event` is the one it is because of, if any."""
    split = trigger.split
    entering = trigger if split is None else trigger.ways[assigned(turn.customer, split)]
    if not entering.workflow.definition.enabled:
        # A variation that is switched off, like any workflow that is.
        return
    key = execution_key(turn, entering, event)
    refused = refusal(turn, entering, Firing(event=event, caused_at=caused_at, encoded=encoded, key=key))
    if refused is None and trigger.places is not None:
        places.reserve(turn, trigger, entering.workflow.id, encoded, key, detail)
        return
    if refused is None:
        turn.record("trigger_fired", workflow=trigger.workflow, trigger_id=trigger.trigger_id, detail=detail)
        start(turn, entering, encoded, key)
        return
    reason, values = refused
    if is_first_of_day(turn, trigger, reason):
        turn.record(
            "trigger_refused",
            reason=reason,
            workflow=trigger.workflow,
            trigger_id=trigger.trigger_id,
            detail=detail | values,
        )


def _decide_granted(customer: Customer, catalogue: Catalogue, now: Millis) -> list[Effect]:
    """Start what has its place, in the order in which it fired."""
    pending, customer.pending, customer.now = customer.pending, [], now
    scene = Scene(customer=customer, now=now, half_life_ms=catalogue.half_life_ms)
    turn = Turn(customer=customer, catalogue=catalogue, now=now, cause=places.cause_of(pending), scene=scene)
    for one in pending:
        trigger = catalogue.limited.get(one.trigger)
        turn.depth = max(turn.depth, one.depth)
        if trigger is None:
            # Another catalogue has come into force meanwhile, without it.
            continue
        if not one.granted:
            places.refuse(turn, trigger, one)
            continue
        turn.record("trigger_fired", workflow=trigger.workflow, trigger_id=trigger.trigger_id, detail=one.detail)
        split, cause = trigger.split, turn.cause
        # The execution's id is that which it would have had at once.
        turn.cause = one.cause
        start(turn, trigger if split is None else trigger.ways[assigned(customer, split)], one.event, one.key)
        turn.cause = cause
    _fire_changes(turn)
    return turn.effects if turn.emitted is None else _apply_emitted(turn)


# Time ---------------------------------------------------------------------------------------------------------


def _decide_due(customer: Customer, catalogue: Catalogue, now: Millis, until: Millis) -> list[Effect]:
    since, customer.now = customer.now, now
    scene = Scene(customer=customer, now=now, half_life_ms=catalogue.half_life_ms)
    # Of what is late several instants may be decided at the same now; each is a cause of its own.
    turn = Turn(customer=customer, catalogue=catalogue, now=now, cause=str(until), scene=scene, until=until)
    if customer.watched_by != catalogue.watch.number:
        keep_under_new_catalogue(turn)
    keep_in_time(turn, since)
    has_changed = bool(turn.effects)
    _end_in_time(turn, since, has_changed=has_changed)
    if customer.attributable:
        attribute_in_time(turn, since, has_changed=has_changed)
    _resume_due(turn, since, has_changed=has_changed)
    for trigger, cause in _due_triggers(turn, since):
        match cause:
            case None:
                _answer_silence(turn, trigger)
            case Absence():
                _answer_absence(turn, trigger, cause)
            case LocalTime():
                _answer_occasion(turn, trigger, cause)
            case _:
                assert_never(cause)
    _fire_changes(turn)
    effects = turn.effects if turn.emitted is None else _apply_emitted(turn)
    if customer.is_visitor and forget_visitor(customer):
        _reach_bound(turn, FORGOTTEN, {"first_seen": as_text(customer.first_seen)})
    return effects


def _resume_due(turn: Turn, since: Millis, *, has_changed: bool) -> None:
    for execution, visit in _due_branches(turn, since, has_changed=has_changed):
        if execution in turn.customer.executions and visit in execution.branches:
            resume(turn, execution, visit)


def _decide_command(customer: Customer, command: Command, catalogue: Catalogue, now: Millis) -> list[Effect]:
    """Pause, resume or cancel the executions that a command names; what is due when they are resumed goes in order."""
    customer.now = now
    scene = Scene(customer=customer, now=now, half_life_ms=catalogue.half_life_ms)
    turn = Turn(customer=customer, catalogue=catalogue, now=now, cause=command.command_id, scene=scene)
    for execution in list(customer.executions):
        if is_named(execution, command):
            _obey(turn, execution, command)
    if turn.is_release:
        # What a wait is for may have come to hold while it was held.
        _resume_due(turn, now, has_changed=True)
    return turn.effects if turn.emitted is None else _apply_emitted(turn)


def _decide_migration(customer: Customer, catalogue: Catalogue, now: Millis) -> list[Effect]:
    """Move the executions to the version in force; what is due under it by now goes in order."""
    customer.now = now
    scene = Scene(customer=customer, now=now, half_life_ms=catalogue.half_life_ms)
    turn = Turn(customer=customer, catalogue=catalogue, now=now, cause=f"catalogue:{catalogue.number}", scene=scene)
    migrate(turn)
    _resume_due(turn, now, has_changed=True)
    return turn.effects if turn.emitted is None else _apply_emitted(turn)


def _obey(turn: Turn, execution: Execution, command: Command) -> None:
    match command.action:
        case "pause" if execution.paused_at is None:
            execution.paused_at = turn.now
            turn.record("execution_paused", execution=execution, detail={"command_id": command.command_id})
        case "resume" if execution.paused_at is not None:
            detail: dict[str, Json] = {"command_id": command.command_id, "paused_at": as_text(execution.paused_at)}
            execution.paused_at = None
            turn.is_release = True
            turn.record("execution_resumed", execution=execution, detail=detail)
        case "cancel":
            end(turn, execution, "cancelled", {"command_id": command.command_id})


def _end_in_time(turn: Turn, since: Millis, *, has_changed: bool) -> None:
    """End the executions that have expired, then those that goal or exit conditions end."""
    executions = sorted(turn.customer.executions, key=lambda execution: _timer_rank(turn, execution))
    for execution in executions:
        if execution.expires_at <= turn.due_until:
            end(turn, execution, "expired")
    if turn.catalogue.judges:
        for execution in executions:
            if execution.expires_at > turn.due_until:
                judge_in_time(turn, execution, since, has_changed=has_changed)


def _due_triggers(turn: Turn, previous: Millis) -> list[tuple[CompiledTrigger, Absence | LocalTime | None]]:
    """Return the silences, absences, crons and dates that are due, in the order of triggers at one instant."""
    customer, catalogue = turn.customer, turn.catalogue
    due: list[tuple[CompiledTrigger, Absence | LocalTime | None]] = []
    for trigger in catalogue.silences:
        due_at = _silence_due(customer, trigger, catalogue)
        if due_at is not None and due_at <= turn.due_until:
            due.append((trigger, None))
    due += [
        (catalogue.absences[absence.trigger], absence)
        for absence in customer.absences
        if absence.due_at <= turn.due_until and absence.trigger in catalogue.absences
    ]
    due += due_occasions(customer, catalogue, previous, turn.now)
    # Those of one trigger stay in the order in which they began.
    due.sort(key=lambda entry: timer_rank(entry[0]))
    return due


def _due_branches(turn: Turn, since: Millis, *, has_changed: bool) -> Iterator[tuple[Execution, Visit]]:
    """Order what is due: by its instant, sends before waits, the workflow's priority, start, id and step order."""
    due, holds = [], turn.catalogue.holds
    for execution in turn.customer.executions:
        workflow = workflow_of(turn, execution)
        for visit in execution.branches:
            step = workflow.steps[visit.step_id]
            if is_due(execution, visit, holds, turn.due_until) or (
                step.awaited is not None and may_hold(turn, execution, visit, since, has_changed)
            ):
                rank = (visit.due_at or 0, step.timing is None, *_timer_rank(turn, execution), step.order, visit.visit)
                due.append((rank, execution, visit))
    due.sort(key=lambda entry: entry[0])
    for _, execution, visit in due:
        yield execution, visit


def _timer_rank(turn: Turn, execution: Execution) -> tuple[int, Millis, str]:
    """Return the place of an execution among those with a timer at one instant."""
    return -workflow_of(turn, execution).priority, execution.started_at, execution.execution_id


def _silence_due(customer: Customer, trigger: CompiledTrigger, catalogue: Catalogue) -> Millis | None:
    """Return when a silence becomes long enough; None when it was answered, or began too long ago to count."""
    began = customer.last_activity
    if began is None or customer.silences.get(trigger.key) == began:
        return None
    known_at = began if customer.activity_seen_at is None else customer.activity_seen_at
    if known_at - began > catalogue.max_event_age_ms:
        return None
    due_at = began + trigger.silence_ms
    if due_at <= trigger.since:
        return None
    return due_at if due_at > known_at else known_at + LATE_DEADLINE_MS


def _answer_silence(turn: Turn, trigger: CompiledTrigger) -> None:
    """Fire once for this silence, or pass it by when the customer doesn't match."""
    customer = turn.customer
    began = customer.last_activity or 0
    customer.silences[trigger.key] = began
    if not _matches(turn, trigger, None):
        return
    detail: dict[str, Json] = {"last_activity": as_text(began), "confidence_score": CERTAIN}
    _start_or_refuse(turn, trigger, began, detail, NO_EVENT)


def _answer_absence(turn: Turn, trigger: CompiledTrigger, absence: Absence) -> None:
    """Fire for a second event that didn't come, as if its first event had, or pass it by."""
    turn.customer.absences = [waiting for waiting in turn.customer.absences if waiting is not absence]
    first = kept_event(absence.event)
    if not _matches(turn, trigger, first):
        return
    detail: dict[str, Json] = {
        "event_id": first.event_id,
        "event_type": first.type,
        "occurred_at": format_instant(absence.since),
        "confidence_score": CERTAIN,
    }
    # Whether the first event was too old was looked at when it arrived.
    _start_or_refuse(turn, trigger, None, detail, absence.event, first)


def _answer_occasion(turn: Turn, trigger: CompiledTrigger, due: LocalTime) -> None:
    """Fire for a local time that has come, or pass it by when the customer doesn't match."""
    if due.day is not None:
        turn.customer.dates[trigger.memory] = due.day
    if _matches(turn, trigger, None):
        _start_or_refuse(turn, trigger, None, {**due.detail, "confidence_score": CERTAIN}, NO_EVENT)
