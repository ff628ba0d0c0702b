"""What two states come to when they turn out to be one person's.

SPEC 3: the survivor's attributes and addresses win, counts add up, the stricter suppression wins, the executions of
both go on. Nothing here depends on who arrived first, only on who survives. Memories of triggers are united where
they are plain instants; of a sequence that both have begun, the survivor's is kept.
"""

from collections.abc import Callable, Mapping
from heapq import merge as in_order
from typing import Final, TypeVar

from journeys.absences import KEPT_FIRST_EVENTS, MAX_ABSENCES
from journeys.answer_hours import united as united_hours
from journeys.keys import MAX_KEYS, SEPARATOR
from journeys.newest import OTHER_TYPES, newest_events, set_newest
from journeys.profile import SESSION_GAP_MS, TOLD_AT, set_bounded
from journeys.repeats import entries, pack
from journeys.scoring import DIGITS, add
from schemas.customer import (
    MAX_ASSIGNMENTS,
    MAX_ATTRIBUTABLE,
    MAX_ATTRIBUTES,
    MAX_COUNTED_TYPES,
    MAX_SEGMENTS,
    MAX_SETTLED,
    MAX_SUPPRESSED_ADDRESSES,
    RECENT_EVENTS,
    Absence,
    Attributable,
    Contact,
    Customer,
    Ended,
    Entries,
    Session,
    Verification,
)
from schemas.identity import event_hash
from schemas.instants import MINUTE_MS, Millis

LATE_DEADLINE_MS: Final = 5 * MINUTE_MS
"""How far ahead a deadline is set that is already past when its customer is absorbed."""
MOST_INSTANTS: Final = 2_016
"""More than any count needs; each is cut to what it needs when its next event comes."""
_STRICTER: Final = {None: 0, "unsubscribed": 1, "bounced": 2, "complained": 3}
_ADDRESSES: Final = ("email", "phone", "push_token", "social_id")

K = TypeVar("K")
V = TypeVar("V")


def merge(survivor: Customer, other: Customer, half_life_ms: float, now: Millis) -> list[str]:
    """Take another customer's state into the survivor's; who ends is for the caller to decide.

    Args:
        survivor: changed in place.
        other: not to be used any more.
        half_life_ms: of the engagement score.
        now: deadlines of the other that lie before it are set a little ahead.

    Returns:
        The bounds at which something of the other was left out.
    """
    reached: list[str] = []
    _merge_profile(survivor, other, reached)
    _merge_history(survivor, other, half_life_ms)
    _merge_journeys(survivor, other, now, reached)
    _merge_experiments(survivor, other)
    return list(dict.fromkeys(reached))


# Profile ------------------------------------------------------------------------------------------------------


def _merge_profile(survivor: Customer, other: Customer, reached: list[str]) -> None:
    times, their_times = survivor.attribute_times, other.attribute_times
    for name in _ADDRESSES:
        value, at = getattr(other, name), their_times.get(f"@{name}")
        # An address that the survivor's CRM has removed stays removed.
        if value is not None and getattr(survivor, name) is None and f"@{name}" not in times:
            setattr(survivor, name, value)
            _note_time(times, f"@{name}", at)
    for prefix, mine, theirs in (
        ("", survivor.attributes, other.attributes),
        ("preferences.", survivor.preferences, other.preferences),
    ):
        for name, value in theirs.items():
            dated = f"{prefix}{name}"
            if name in mine or dated in times:
                continue
            if set_bounded(mine, name, value):
                _note_time(times, dated, their_times.get(dated))
            else:
                reached.append("attributes")
    survivor.verification = _verification(survivor.verification, other.verification, survivor.email)
    if survivor.stage_at is None and other.stage_at is not None:
        survivor.lifecycle_stage, survivor.stage_at = other.lifecycle_stage, other.stage_at
        _note_time(times, TOLD_AT, their_times.get(TOLD_AT))
    segments = list(dict.fromkeys((*survivor.segments, *other.segments)))
    if len(segments) > MAX_SEGMENTS >= len(survivor.segments):
        reached.append("segments")
    survivor.segments = sorted(segments[: max(MAX_SEGMENTS, len(survivor.segments))])
    for channel, contact in other.contacts.items():
        known = survivor.contacts.get(channel)
        survivor.contacts[channel] = contact if known is None else _stricter(known, contact)


def _verification(mine: Verification | None, theirs: Verification | None, email: str | None) -> Verification | None:
    """Keep what was found out about the address that stands; of two findings the later one."""
    found = [one for one in (mine, theirs) if one is not None]
    of_it = [one for one in found if email is not None and one.address == event_hash(email)]
    return max(of_it or found, key=lambda one: one.at, default=None)


def _note_time(times: dict[str, Millis], name: str, at: Millis | None) -> None:
    if at is not None and len(times) < 2 * MAX_ATTRIBUTES:
        times[name] = at


def _stricter(mine: Contact, theirs: Contact) -> Contact:
    """Keep what holds back more; a denial counts more than a consent, and both more than nothing said."""
    said = {mine.consent, theirs.consent}
    mine.consent = "denied" if "denied" in said else "granted" if "granted" in said else "unknown"
    if _STRICTER.get(theirs.suppressed, 0) > _STRICTER.get(mine.suppressed, 0):
        mine.suppressed = theirs.suppressed
    mine.changed_at = max(mine.changed_at, theirs.changed_at)
    addresses = _united(theirs.addresses, mine.addresses, _stricter_reason)
    mine.addresses = dict(list(addresses.items())[-MAX_SUPPRESSED_ADDRESSES:])
    return mine


def _stricter_reason(mine: str, theirs: str) -> str:
    return theirs if _STRICTER[theirs] > _STRICTER[mine] else mine


# History ------------------------------------------------------------------------------------------------------


def _merge_history(survivor: Customer, other: Customer, half_life_ms: float) -> None:
    _merge_seen(survivor, other)
    survivor.first_seen = _least(survivor.first_seen, other.first_seen)
    mine, theirs = survivor.last_activity, other.last_activity
    if theirs is not None and (mine is None or theirs > mine):
        survivor.last_activity, survivor.activity_seen_at = theirs, other.activity_seen_at
    survivor.last_engagement = _greatest(survivor.last_engagement, other.last_engagement)
    if other.score_at is not None:
        survivor.score, survivor.score_at = add(
            survivor.score, survivor.score_at, other.score, other.score_at, half_life_ms
        )
    survivor.total_purchases += other.total_purchases
    survivor.total_spent = round(survivor.total_spent + other.total_spent, DIGITS)
    newest = list(in_order(newest_events(survivor), newest_events(other), key=lambda entry: entry[0]))
    for event_type, count in other.counts.items():
        _add_count(survivor, event_type, count, other.last[event_type])
    set_newest(survivor, newest[-RECENT_EVENTS:])
    survivor.hours = united_hours(survivor.hours, other.hours)
    survivor.session = _latest_session(survivor.session, other.session)


def _merge_seen(survivor: Customer, other: Customer) -> None:
    latest = _united(dict(entries(survivor.seen)), dict(entries(other.seen)), max)
    survivor.seen = pack(sorted(latest.items(), key=lambda entry: entry[1]))


def _add_count(survivor: Customer, event_type: str, count: int, last: Millis) -> None:
    counts = survivor.counts
    counted = event_type if event_type in counts or len(counts) < MAX_COUNTED_TYPES else OTHER_TYPES
    counts[counted] = counts.get(counted, 0) + count
    survivor.last[counted] = max(last, survivor.last.get(counted, last))


def _latest_session(mine: Session | None, theirs: Session | None) -> Session | None:
    """Unite two sessions that overlap or follow each other soon enough; of others the later one counts."""
    if mine is None or theirs is None:
        return mine or theirs
    earlier, later = (theirs, mine) if mine.last_at >= theirs.last_at else (mine, theirs)
    named = {earlier.session_id, later.session_id} - {None}
    if len(named) > 1 or later.started_at - earlier.last_at >= SESSION_GAP_MS:
        return later
    return Session(
        started_at=min(mine.started_at, theirs.started_at),
        last_at=later.last_at,
        session_id=later.session_id or earlier.session_id,
        events=mine.events + theirs.events,
        pages=mine.pages + theirs.pages,
    )


# Journeys -----------------------------------------------------------------------------------------------------


def _merge_journeys(survivor: Customer, other: Customer, now: Millis, reached: list[str]) -> None:
    for execution in other.executions:
        execution.expires_at = _still_to_come(execution.expires_at, now)
        for visit in execution.branches:
            if visit.due_at is not None:
                visit.due_at = _still_to_come(visit.due_at, now)
    # Sorting is stable: of two that started at one instant, the survivor's stays first.
    survivor.executions = sorted((*survivor.executions, *other.executions), key=lambda each: each.started_at)
    survivor.ended = _in_order_of_ends(_united(survivor.ended, other.ended, _later_ended), reached)
    survivor.attributable = _attributable(survivor.attributable, other.attributable)
    settled = in_order(survivor.settled, other.settled, key=lambda each: each.at)
    survivor.settled = list(settled)[-MAX_SETTLED:]
    survivor.entries = _entries(survivor.entries, other.entries)
    survivor.cooldowns = _united(survivor.cooldowns, other.cooldowns, max)
    survivor.silences = _united(survivor.silences, other.silences, max)
    survivor.refusals = _united(survivor.refusals, other.refusals, max)
    survivor.dates = _united(survivor.dates, other.dates, max)
    survivor.windows = _united(survivor.windows, other.windows, _instants)
    survivor.forgotten = _united(survivor.forgotten, other.forgotten, max)
    survivor.clauses = _united(survivor.clauses, other.clauses, _instants)
    survivor.sent = _united(survivor.sent, other.sent, _instants)
    survivor.first_events = _united(survivor.first_events, other.first_events, _first_events)
    survivor.second_events = _united(survivor.second_events, other.second_events, _second_events)
    if not survivor.timeline:
        # Places of a strict sequence mean something in their own timeline alone.
        survivor.timeline = other.timeline
        survivor.sequences = {**other.sequences, **survivor.sequences}
    absences = _merge_absences(survivor.absences, other.absences, now)
    if len(absences) > MAX_ABSENCES:
        reached.append("absences")
    survivor.absences = absences[:MAX_ABSENCES]


def _merge_absences(mine: list[Absence], theirs: list[Absence], now: Millis) -> list[Absence]:
    """Keep one per trigger and execution key: the later first event has begun the window anew."""
    pending = {(absence.trigger, absence.execution_key): absence for absence in mine}
    for absence in theirs:
        absence.due_at = _still_to_come(absence.due_at, now)
        key = (absence.trigger, absence.execution_key)
        if key not in pending or pending[key].since < absence.since:
            pending[key] = absence
    return list(pending.values())


def _in_order_of_ends(ended: dict[str, Ended], reached: list[str]) -> dict[str, Ended]:
    """Put names with an execution key into the order of their ends, the newest few of them."""
    keyed = sorted((name for name in ended if SEPARATOR in name), key=lambda name: ended[name].ended_at)
    if len(keyed) > MAX_KEYS:
        reached.append("execution_keys")
    kept = {name: one for name, one in ended.items() if SEPARATOR not in name}
    return kept | {name: ended[name] for name in keyed[-MAX_KEYS:]}


def _attributable(mine: list[Attributable], theirs: list[Attributable]) -> list[Attributable]:
    return sorted((*mine, *theirs), key=lambda each: each.since)[-MAX_ATTRIBUTABLE:]


def _entries(mine: Entries | None, theirs: Entries | None) -> Entries | None:
    """Keep those of the later instant; of one instant both, since each execution is only one's."""
    if mine is None or theirs is None:
        return mine or theirs
    if mine.at != theirs.at:
        return mine if mine.at > theirs.at else theirs
    return Entries(mine.at, _united(mine.counts, theirs.counts, max))


def _still_to_come(due_at: Millis, now: Millis) -> Millis:
    return due_at if due_at > now else now + LATE_DEADLINE_MS


def _later_ended(mine: Ended, theirs: Ended) -> Ended:
    return theirs if theirs.ended_at > mine.ended_at else mine


def _instants(mine: list[Millis], theirs: list[Millis]) -> list[Millis]:
    return list(in_order(mine, theirs))[-MOST_INSTANTS:]


def _first_events(mine: list[Millis], theirs: list[Millis]) -> list[Millis]:
    return list(in_order(mine, theirs))[-KEPT_FIRST_EVENTS:]


def _second_events(mine: list[tuple[Millis, str]], theirs: list[tuple[Millis, str]]) -> list[tuple[Millis, str]]:
    return list(in_order(mine, theirs))[-max(len(mine), len(theirs)) :]


# Experiments --------------------------------------------------------------------------------------------------


def _merge_experiments(survivor: Customer, other: Customer) -> None:
    """Let assignments stand; of two, that of the one who has taken part in the experiment, else the survivor's."""
    assignments = {**other.assignments, **survivor.assignments}
    for name in other.exposed:
        if name not in survivor.exposed and name in other.assignments:
            assignments[name] = other.assignments[name]
    survivor.assignments = dict(list(assignments.items())[-MAX_ASSIGNMENTS:])
    exposed = dict.fromkeys((*other.exposed, *survivor.exposed))
    survivor.exposed = [name for name in exposed if name in survivor.assignments]


# Together -----------------------------------------------------------------------------------------------------

RULED: Final = frozenset(
    {
        "customer_id",
        "now",
        "seen",
        "email",
        "phone",
        "push_token",
        "social_id",
        "attributes",
        "attribute_times",
        "preferences",
        "lifecycle_stage",
        "stage_at",
        "segments",
        "contacts",
        "first_seen",
        "last_activity",
        "activity_seen_at",
        "last_engagement",
        "score",
        "score_at",
        "total_purchases",
        "total_spent",
        "counts",
        "last",
        "recent",
        "hours",
        "session",
        "executions",
        "ended",
        "cooldowns",
        "windows",
        "silences",
        "refusals",
        "clauses",
        "sequences",
        "timeline",
        "absences",
        "first_events",
        "second_events",
        "attributable",
        "entries",
        "assignments",
        "exposed",
        "dates",
        "forgotten",
        "is_visitor",
        "is_forgotten",
        "pending",
        "bonds",
        "hashed_as",
        "sent",
        "segment_flips",
        "stage_flip",
        "watched_by",
        "verification",
        "settled",
    }
)
"""Fields of a customer that are merged above, or whose business this isn't; a new one is wanted here."""


def _united(mine: Mapping[K, V], theirs: Mapping[K, V], both: Callable[[V, V], V]) -> dict[K, V]:
    united = dict(mine)
    for key, value in theirs.items():
        united[key] = both(united[key], value) if key in united else value
    return united


def _least(mine: Millis | None, theirs: Millis | None) -> Millis | None:
    return min((at for at in (mine, theirs) if at is not None), default=None)


def _greatest(mine: Millis | None, theirs: Millis | None) -> Millis | None:
    return max((at for at in (mine, theirs) if at is not None), default=None)
