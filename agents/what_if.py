"""What if: the same log under the definitions as they were, and as they are edited, and what differs.

Both worlds take the same records in the same order, and time passes for both in the same way: the log's ticks say
when it came by. Between two ticks the edited world may have somebody due whom the recorded one didn't have; that counts
as on time, unless the recorded world itself had been kept from somebody who was due before.

**What nobody can know.** Opens and clicks answer a send. Where the edited world has not made the send that an event
answers, she would not have answered; where it has made another one, nobody knows whether she would have. So once her
sends differ, a customer lives twice: in a world where such answers don't come, and in one where they come all the same.
A difference is certain if both have it, and nothing that leads to it reads engagement; else it is uncertain, and is
counted apart.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from agents.beginning import Begun
from agents.left_out import NOTHING, NOWHERE, LeftOutBy, raises_anew, refusing_new
from agents.outcomes import Outcome
from agents.shares import Lateness, Share
from agents.world import LogRecord, World
from journeys.catalogue import Catalogue
from journeys.engaging import reads_engagement
from journeys.overdue import OVERDUE_AFTER_MS
from schemas.decisions import Decision, Send
from schemas.errors import TidingsError
from schemas.events import ENGAGEMENT_TYPES
from schemas.instants import Millis
from schemas.linking import LINK, Absorb, Ask, Forwarded, Grant, decode_link
from schemas.log import (
    APPENDED,
    ORIGIN_BYTES,
    SOURCE,
    Backfilled,
    CatalogueMark,
    Command,
    Stage,
    decode_event,
    decode_mark,
    header,
    unpack_number,
)
from schemas.quarantines import is_timer

MOST_REASONS: Final = 200
"""Decisions that are kept of a customer whose sends differ, the newest."""
_TOLD: Final = frozenset({"send_suppressed", "send_deferred", "execution_ended", "trigger_refused", "step_completed"})


class Change(Struct, frozen=True, kw_only=True):
    """A send that differs between the two worlds."""

    kind: Literal["added", "gone", "moved", "changed"]
    certain: bool
    send_id: str
    customer_id: str
    workflow_id: str
    step_id: str
    channel: str
    template_id: str
    before: str | None
    """When it went out in the recorded world, RFC 3339; None where it didn't."""
    after: str | None
    """When it would go out in the edited one."""
    differs: tuple[str, ...] = ()
    """Of one that is changed, its fields."""
    reason: str | None = None
    """Why the world that lacks it lacks it, in the words of its decisions."""


class _Answer(Struct):
    send_id: object = None


class _Ledger(Struct):
    """What is known of a customer whose two lives differ; by send."""

    before: dict[str, Send] = field(default_factory=dict)
    """Sent in the recorded world, and in the edited one not yet."""
    after: dict[str, Send] = field(default_factory=dict)
    both: dict[str, tuple[Send, Send]] = field(default_factory=dict)
    """Sent in both, at another time or with other contents."""
    first_at: Millis | None = None
    """When her sends began to differ."""
    at: dict[str, Millis] = field(default_factory=dict)
    """When each send was first seen in either world."""


class _Reasons(Struct):
    decisions: list[Decision] = field(default_factory=list)

    def note(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self.decisions += [e for e in outcome.effects if isinstance(e, Decision) and e.kind in _TOLD]
        del self.decisions[:-MOST_REASONS]

    def why_not(self, send: Send) -> str | None:
        """Say why a send wasn't made, by the latest decision that concerns it."""
        for rank in range(3):
            for decision in reversed(self.decisions):
                if _concerns(decision, send) == rank:
                    return f"{decision.kind}: {decision.reason}" if decision.reason else decision.kind
        return None


def _concerns(decision: Decision, send: Send) -> int | None:
    """Return how closely a decision concerns a send: 0 its step, 1 its execution, 2 its workflow; None not at all."""
    if decision.kind in {"send_suppressed", "send_deferred"}:
        return 0 if (decision.execution_id, decision.step_id) == (send.execution_id, send.step_id) else None
    if decision.kind in {"execution_ended", "step_completed"}:
        return 1 if decision.execution_id == send.execution_id and decision.reason != "completed" else None
    return 2 if decision.workflow_id == send.workflow_id else None


class WhatIf:
    """The two worlds, and a third one of those who answered what was never sent."""

    def __init__(
        self, load: Callable[[int], Catalogue], edit: Callable[[int, Millis], Catalogue], since: Millis | None = None,
        *, follows: bool = False, share: Share | None = None, late: Mapping[int, Millis] | None = None,
        begun: Begun | None = None, lag_ms: Millis = 0, left_out: LeftOutBy = NOWHERE,
    ) -> None:  # fmt: skip
        """Begin before the log's first record, or where the edit comes into force.

        Args:
            load: returns a version of the definitions as it was in force.
            edit: returns the edited definitions, compiled as the version of this number, in force from an instant on.
            since: when they come into force; None: in place of the first version.
            follows: whether later versions come into force on the edited side as well, each one edited; the edit is
                then one of the version that was in force, and has its number.
            share: whose records are folded, all are still to be given; None: everybody's.
            late: what `late` of all shares was in a fold before; None where nothing is known yet.
            begun: everybody as she stood at `since`, whose other records are still to be given; None: nobody is known.
            lag_ms: how far, in a log that is still being written, time stays behind the record that was read last
                where no tick says it: an event of before that may still be on its way.
            left_out: what the rules couldn't do; they can't in any of the worlds.
        """
        self._left_out = left_out
        # In another world a timer may fire at another record.
        self._timers = {
            turn: fault
            for places in left_out.values()
            for turns in places.values()
            for turn, fault in turns.items()
            if is_timer(turn[1])
        }
        self._load, self._edit, self._since, self._follows = load, edit, since, follows
        self._lag_ms = lag_ms
        self.recorded = World() if begun is None else begun.world
        self.edited: World | None = World() if since is None else None
        self.believing: World | None = None
        self._believers: set[str] = set()
        """The names of those who live in the third world, too."""
        self._keys: set[bytes] = set()
        self._ledgers: dict[str, _Ledger] = {}
        self._believed: dict[str, _Ledger] = {}
        self._reasons: tuple[dict[str, _Reasons], dict[str, _Reasons]] = ({}, {})
        self._sources: dict[tuple[int, bytes], bytes] = {} if begun is None else dict(begun.sources)
        self._inner_until = since if begun is not None else None
        """What customers wrote to each other before this instant isn't written again by those who begin at it."""
        self._commands: set[str] = set()
        self._sends = [0, 0]
        self._engaging: dict[str, bool] = {}
        self.clock: Millis | None = None
        self._share, self._lateness, self._place = share, Lateness(late), 0

    @property
    def late(self) -> dict[int, Millis]:
        """Where this share found that time came late; if any share did, all fold again and are told all of it."""
        return self._lateness.found

    # Records ------------------------------------------------------------------------------------------------------

    def take(self, record: LogRecord) -> None:
        """Take the next record of the log, whose partitions are merged in the order in which they were appended."""
        if self._left_out:
            turns = self._left_out.get(record.partition, NOTHING).get(record.offset, {})
            for world in self._worlds():
                if world is not None:
                    world.engine.left_out = {**self._timers, **turns}
        try:
            self._take(record)
        except (TidingsError, MemoryError):
            raise
        except Exception as error:
            raise raises_anew(f"partition {record.partition}, offset {record.offset:,}", error) from error

    def _take(self, record: LogRecord) -> None:
        at = record.timestamp
        self._place += 1
        if self._since is not None and self.edited is None and at >= self._since:
            self._begin_edit(self._since)
        self.clock = at if self.clock is None else max(self.clock, at)
        packed = header(record.headers, APPENDED)
        appended = None if packed is None else unpack_number(packed)
        if record.key is None:
            self._take_mark(record, appended)
        elif self._is_inner(record):
            if self._inner_until is not None and at < self._inner_until:
                self._take_event(record)
        elif not self._was_seen(record):
            self._pass_time(at, appended)
            if self._share is None or self._share.has(record.key):
                self._take_event(record)

    def finish(self, until: Millis | None = None) -> None:
        """Let time pass for all to the end of the log, or to an instant."""
        end = until if until is not None else self.clock
        with refusing_new("the end of the log"):
            if self._since is not None and self.edited is None:
                self._begin_edit(self._since)
            if end is not None:
                self._compare(*(None if world is None else world.pass_time(end) for world in self._worlds()))

    def let_pass(self, now: Millis) -> None:
        """Let time pass by the clock, in a log that is still being written."""
        self._pass_time(now, now)

    def _worlds(self) -> tuple[World, World | None, World | None]:
        return self.recorded, self.edited, self.believing

    def _begin_edit(self, at: Millis) -> None:
        """Let the edited definitions come into force as an `apply` at this instant would."""
        in_force = self.recorded.engine.catalogue
        before = self.recorded.pass_time(at - 1) if in_force is not None else []
        self._count(before, 0)
        self._count(before, 1)
        self.edited = self.recorded.copied()
        number = (0 if in_force is None else in_force.number) + (0 if self._follows else 1)
        self._compare([], self.edited.take_over(self._edit(number, at), at), None)

    def _take_mark(self, record: LogRecord, appended: Millis | None) -> None:
        mark, at = decode_mark(record.value or b""), record.timestamp
        if isinstance(mark, CatalogueMark):
            self._take_version(mark, at)
        elif isinstance(mark, Command):
            if mark.command_id not in self._commands:
                self._commands.add(mark.command_id)
                self._compare(*(None if world is None else world.obey(mark, at) for world in self._worlds()))
        elif isinstance(mark, Stage | Backfilled):
            self._compare(*(None if world is None else world.hand_over(mark, at) for world in self._worlds()))
        else:
            late_from = self._late_from(at, appended)
            own = self.recorded.pass_time(at, appended)
            self._compare(own, *(self._passed(world, at, appended, late_from) for world in self._worlds()[1:]))

    def _take_version(self, mark: CatalogueMark, at: Millis) -> None:
        known = self.recorded.engine.catalogue
        if known is not None and known.number >= mark.number:
            return
        before = self.recorded.take_over(self._load(mark.number), at)
        after: list[Outcome] | None = None
        if self.edited is not None and (self._follows or self.edited.engine.catalogue is None):
            after = self.edited.take_over(self._edit(mark.number, at), at)
        self._compare(before, after, None)

    def _late_from(self, at: Millis, appended: Millis | None) -> Millis | None:
        """Return the first instant that the recorded world was kept from by then; None if all was on time."""
        due_at = self._first_due(at, appended)
        return due_at if due_at is not None and appended is not None and appended - due_at > OVERDUE_AFTER_MS else None

    def _first_due(self, at: Millis, appended: Millis | None) -> Millis | None:
        clock = at if self.clock is None else self.clock
        return self._lateness.first_due(self._place, self.recorded.next_due(at), clock, appended)

    @staticmethod
    def _passed(
        world: World | None, at: Millis, appended: Millis | None, late_from: Millis | None
    ) -> list[Outcome] | None:
        """Let time pass in a world that ticks weren't made for; what was due before anything was late was on time."""
        if world is None:
            return None
        if late_from is None:
            return world.pass_time(at)
        return world.pass_time(late_from - 1) + world.pass_time(at, appended)

    def _pass_time(self, at: Millis, appended: Millis | None) -> None:
        """Let time pass to a record: for all in a log with its own clock, else where no tick would be written."""
        if self.recorded.engine.catalogue is None:
            return
        if appended is None:
            self._compare(*(None if world is None else world.pass_time(at) for world in self._worlds()))
            return
        due_at = self._first_due(at, appended)
        until = (at if due_at is None else due_at - 1) - self._lag_ms
        self._compare([], *(None if world is None else world.pass_time(until) for world in self._worlds()[1:]))

    @staticmethod
    def _is_inner(record: LogRecord) -> bool:
        """Tell whether customers or counters of the recorded world have written it to each other."""
        headers = record.headers
        if not headers or headers[0][0] != LINK:
            return False
        return isinstance(decode_link(headers[0][1]), Absorb | Forwarded | Ask | Grant)

    def _was_seen(self, record: LogRecord) -> bool:
        source = header(record.headers, SOURCE)
        if source is None:
            return False
        origin = (record.partition, source[:ORIGIN_BYTES])
        if source <= self._sources.get(origin, b""):
            return True
        self._sources[origin] = source
        return False

    # Answers ------------------------------------------------------------------------------------------------------

    def _take_event(self, record: LogRecord) -> None:
        assert record.key is not None  # noqa: S101 -- marks go another way
        before = self.recorded.take(record)
        if self.edited is None:
            self._compare(before, None, None)
            return
        if self._answers_what_was_not_sent(record):
            self._believe(record.key)
            after: list[Outcome] | None = []
        else:
            after = self.edited.take(record)
        believing = self.believing.take(record) if self.believing is not None and record.key in self._keys else None
        self._compare(before, after, believing)

    def _answers_what_was_not_sent(self, record: LogRecord) -> bool:
        """Tell whether an event answers a send that the edited world hasn't made."""
        assert record.key is not None  # noqa: S101 -- marks go another way
        if not self._ledgers or not record.value:
            return False
        ledger = self._ledgers.get(_name(record.key))
        if ledger is None or not ledger.before:
            return False
        event = decode_event(record.value)
        if event.type not in ENGAGEMENT_TYPES:
            return False
        send_id = msgspec.json.decode(event.properties, type=_Answer).send_id
        return isinstance(send_id, str) and send_id in ledger.before

    def _believe(self, key: bytes) -> None:
        """Let a customer live in the world where answers come all the same, from here on."""
        if key in self._keys:
            return
        assert self.edited is not None  # noqa: S101 -- nobody's sends differ before
        if self.believing is None:
            self.believing = World(self.edited.engine.catalogue)
            self.believing.engine.passed = self.edited.engine.passed
        name = _name(key)
        self.edited.copy_customer(key, self.believing)
        self._keys.add(key)
        self._believers.add(name)
        self._believed[name] = msgspec.msgpack.decode(msgspec.msgpack.encode(self._ledgers[name]), type=_Ledger)

    # Comparing ----------------------------------------------------------------------------------------------------

    def _compare(
        self, before: list[Outcome] | None, after: list[Outcome] | None, believing: list[Outcome] | None
    ) -> None:
        """Hold against each other what one record has led to; None for a world that there isn't yet, which follows."""
        follows = after is None and self.edited is None
        before = before or []
        after = before if follows else after or []
        self._count(before, 0)
        self._count(after, 1)
        if follows:
            return
        if before or after:
            lived, would = _by_customer(before), _by_customer(after)
            for name in lived.keys() | would.keys():
                for old, new in _by_time(lived.get(name, []), would.get(name, [])):
                    self._compare_one(name, old, new, self._ledgers)
        if believing or (self._believers and before):
            lived, would = _by_customer(before), _by_customer(believing or [])
            for name in (lived.keys() | would.keys()) & self._believers:
                for old, new in _by_time(lived.get(name, []), would.get(name, [])):
                    self._compare_one(name, old, new, self._believed)

    def _count(self, outcomes: list[Outcome], side: int) -> None:
        self._sends[side] += sum(isinstance(effect, Send) for outcome in outcomes for effect in outcome.effects)

    def _compare_one(self, name: str, before: list[Outcome], after: list[Outcome], ledgers: dict[str, _Ledger]) -> None:
        old, new = _sends(before), _sends(after)
        is_same = old.keys() == new.keys() and all(_same(old[one], new[one]) for one in old)
        ledger = ledgers.get(name)
        if ledger is None and is_same and _told(before) == _told(after):
            return
        for side, outcomes in enumerate((before, after)):
            self._reasons[side].setdefault(name, _Reasons()).note(outcomes)
        if is_same and (ledger is None or not (ledger.before or ledger.after)):
            return
        if ledger is None:
            ledger = ledgers[name] = _Ledger()
        _settle(ledger, old, new, max((outcome.now for outcome in (*before, *after)), default=0))

    # What differs -------------------------------------------------------------------------------------------------

    @property
    def sends(self) -> tuple[int, int]:
        """How many sends each world has made."""
        return self._sends[0], self._sends[1]

    def changes(self) -> list[Change]:
        """List what differs, by time and customer; each send once."""
        found: list[Change] = []
        for name, ledger in self._ledgers.items():
            own = self._listed(name, ledger)
            believed = self._believed.get(name)
            if believed is None:
                found += own.values()
                continue
            other = self._listed(name, believed)
            for send_id in own.keys() | other.keys():
                mine, others = own.get(send_id), other.get(send_id)
                one = mine or others
                assert one is not None  # noqa: S101 -- it is in one of them
                agreed = mine is not None and others is not None and _same_change(mine, others)
                found.append(one if agreed else msgspec.structs.replace(one, certain=False))
        return in_order(found)

    def _listed(self, name: str, ledger: _Ledger) -> dict[str, Change]:
        listed = {}
        for send_id, send in ledger.before.items():
            listed[send_id] = self._change("gone", name, ledger, send, None)
        for send_id, send in ledger.after.items():
            listed[send_id] = self._change("added", name, ledger, None, send)
        for send_id, (old, new) in ledger.both.items():
            listed[send_id] = self._change("moved" if old.send_at != new.send_at else "changed", name, ledger, old, new)
        return listed

    def _change(
        self, kind: Literal["added", "gone", "moved", "changed"], name: str, ledger: _Ledger, old: Send | None,
        new: Send | None,
    ) -> Change:  # fmt: skip
        send = new or old
        assert send is not None  # noqa: S101 -- one of them has it
        lacking = {"gone": 1, "added": 0, "moved": 1}.get(kind)
        reasons = None if lacking is None else self._reasons[lacking].get(name)
        is_later = ledger.first_at is not None and ledger.at.get(send.send_id, ledger.first_at) > ledger.first_at
        return Change(
            kind=kind,
            certain=not (is_later and self.is_engaging(send.workflow_id)),
            send_id=send.send_id,
            customer_id=name,
            workflow_id=send.workflow_id,
            step_id=send.step_id,
            channel=send.channel,
            template_id=send.template_id,
            before=None if old is None else old.send_at,
            after=None if new is None else new.send_at,
            differs=() if old is None or new is None else _differing(old, new),
            reason=None if reasons is None else reasons.why_not(send),
        )

    def is_engaging(self, workflow_id: str) -> bool:
        """Tell whether a workflow, in either world, looks at engagement; where that can't be told, it does."""
        known = self._engaging.get(workflow_id)
        if known is None:
            catalogues = [world.engine.catalogue for world in (self.recorded, self.edited) if world is not None]
            known = any(catalogue is not None and reads_engagement(catalogue, workflow_id) for catalogue in catalogues)
            self._engaging[workflow_id] = known
        return known


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Return changes by time and customer, those of several shares in one order."""
    return sorted(changes, key=lambda one: (one.before or one.after or "", one.customer_id, one.send_id))


def _by_customer(outcomes: list[Outcome]) -> dict[str, list[Outcome]]:
    """Part what one record has led to by customer, in one go: a mark may let time pass for everybody."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.customer_id, []).append(outcome)
    return found


def _by_time(before: list[Outcome], after: list[Outcome]) -> Iterator[tuple[list[Outcome], list[Outcome]]]:
    """Pair what either world has led to at one time, timers before events: which record brought time by is chance."""
    moments = {(outcome.now, outcome.by_event) for outcome in (*before, *after)}
    if len(moments) == 1:
        yield before, after
        return
    for moment in sorted(moments):
        old, new = ([one for one in side if (one.now, one.by_event) == moment] for side in (before, after))
        yield old, new


def _sends(outcomes: list[Outcome]) -> dict[str, Send]:
    return {effect.send_id: effect for outcome in outcomes for effect in outcome.effects if isinstance(effect, Send)}


def _told(outcomes: list[Outcome]) -> list[tuple[str | None, ...]]:
    """Return what is decided, but for what every other version of the definitions changes."""
    return [
        (effect.kind, effect.workflow_id, effect.execution_id, effect.step_id, effect.trigger_id, effect.reason)
        for outcome in outcomes
        for effect in outcome.effects
        if isinstance(effect, Decision)
    ]


def _settle(ledger: _Ledger, old: Mapping[str, Send], new: Mapping[str, Send], now: Millis) -> None:
    for mine, others, own, other in (
        (old, new, ledger.before, ledger.after),
        (new, old, ledger.after, ledger.before),
    ):
        for send_id, send in mine.items():
            if send_id in others:
                continue
            ledger.at.setdefault(send_id, now)
            known = other.pop(send_id, None)
            if known is None:
                own[send_id] = send
            else:
                ledger.both[send_id] = (known, send) if mine is new else (send, known)
            ledger.first_at = now if ledger.first_at is None else ledger.first_at
    for send_id in old.keys() & new.keys():
        if not _same(old[send_id], new[send_id]):
            ledger.at.setdefault(send_id, now)
            ledger.both[send_id] = (old[send_id], new[send_id])
            ledger.first_at = now if ledger.first_at is None else ledger.first_at


def _same(old: Send, new: Send) -> bool:
    return not _differing(old, new) and old.send_at == new.send_at


def _differing(old: Send, new: Send) -> tuple[str, ...]:
    """List the fields in which two sends of one id differ, but for their times and versions."""
    names = (name for name in Send.__struct_fields__ if name not in {"send_at", "workflow_version", "expires_at"})
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))


def _same_change(one: Change, other: Change) -> bool:
    return (one.kind, one.before, one.after, one.differs) == (other.kind, other.before, other.after, other.differs)


def _name(key: bytes) -> str:
    return key[2:].decode() if key.startswith(b"c:") else key.decode()
