"""What has to hold of every history, whatever the workflows say: judged from the records alone.

Each law looks at what went in and what came out, with none of the code that decided it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from schemas.definitions import Definitions
from schemas.events import MESSAGE_CHANNELS, Event, Json, customer_key
from schemas.instants import HOUR_MS, Millis, parse_instant
from tidings.checking import Record, longest_execution_ms
from tidings.event_file import Line


class World(Struct, frozen=True, kw_only=True):
    """One history: the lines that went in, the records that came out, and how far time ran."""

    definitions: Definitions
    lines: Sequence[Line]
    records: Sequence[Record]
    until: Millis

    def sends(self) -> list[Record]:
        """Return the messages, in order."""
        return [record for record in self.records if record["record"] == "send"]

    def decisions(self, kind: str) -> list[Record]:
        """Return the decisions of a kind, in order."""
        return [record for record in self.records if record["record"] == "decision" and record["kind"] == kind]


_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Law = Callable[[World], Iterator[str]]


def broken_laws(world: World) -> list[str]:
    """Return in words what doesn't hold; empty if all does."""
    return [complaint for law in LAWS for complaint in law(world)]


def each_message_once(world: World) -> Iterator[str]:
    """No two messages have the same id, and no two decisions."""
    for name, records in (("send_id", world.sends()), ("decision_id", world.records)):
        for identity, count in Counter(str(record[name]) for record in records if name in record).items():
            if count > 1 and identity != "None":
                yield f"{name} {identity} came {count} times"


def executions_end(world: World) -> Iterator[str]:
    """Every execution that began long enough before the end of time has ended, and once."""
    ended = Counter(str(record["execution_id"]) for record in world.decisions("execution_ended"))
    longest = longest_execution_ms(world.definitions)
    for record in world.decisions("execution_started"):
        identity = str(record["execution_id"])
        if ended[identity] > 1:
            yield f"execution {identity} of {record['workflow_id']} ended {ended[identity]} times"
        elif not ended[identity] and _at(record, "at") + longest <= world.until:
            yield f"execution {identity} of {record['workflow_id']}, begun {record['at']}, never ended"


def nothing_after_the_end(world: World) -> Iterator[str]:
    """No execution sends anything once it has ended."""
    ended: dict[str, str] = {}
    for record in world.records:
        identity = str(record.get("execution_id"))
        if record["record"] == "send" and identity in ended:
            yield f"{_message(record)} although its execution ended {ended[identity]}"
        elif record.get("kind") == "execution_ended":
            ended[identity] = str(record["at"])


def nobody_unwilling(world: World) -> Iterator[str]:
    """No marketing goes where somebody has unsubscribed, and nothing at all where an address bounced or complained."""
    refused = _Refusals()
    lines = [line for line in world.lines if line.event is not None]
    place = 0
    for record in world.sends():
        at = _at(record, "send_at")
        # What arrived in the very millisecond may stand before the message or behind it.
        while place < len(lines) and lines[place].clock < at:
            event = lines[place].event
            if event is not None:
                refused.take(event)
            place += 1
        why = refused.of(str(record["customer_id"]), str(record["channel"]), str(record["category"]))
        if why is not None and all(line.clock != at for line in lines):
            yield f"{_message(record)} although {why}"


class _Refusals:
    """Who wants nothing on which channel, as the events so far say."""

    def __init__(self) -> None:
        self._hard: dict[tuple[str, str], str] = {}
        self._soft: dict[tuple[str, str], Millis] = {}
        self._lifted: dict[tuple[str, str], Millis] = {}

    def take(self, event: Event) -> None:
        channel, _, what = event.type.partition("_")
        customer = customer_key(event).decode().removeprefix("c:")
        properties: dict[str, Json] = msgspec.json.decode(event.properties)
        if event.type == "consent_changed" and properties.get("consent") == "granted":
            self._lifted[customer, str(properties.get("channel"))] = event.occurred_at
        elif channel in MESSAGE_CHANNELS and not event.machine:
            if what == "unsubscribed":
                self._soft[customer, channel] = event.occurred_at
            elif what == "complained" or (what == "bounced" and properties.get("bounce_type", "hard") != "soft"):
                self._hard[customer, channel] = event.type

    def of(self, customer: str, channel: str, category: str) -> str | None:
        key = (customer, channel)
        if key in self._hard:
            return f"{self._hard[key]} came before"
        if category == "marketing" and key in self._soft and self._soft[key] > self._lifted.get(key, -1):
            return f"{channel}_unsubscribed came before"
        return None


def never_over_a_cap(world: World) -> Iterator[str]:
    """In no window of a cap do more marketing messages go out than it allows."""
    marketing = [send for send in world.sends() if send["category"] == "marketing"]
    for cap in world.definitions.settings.frequency_caps:
        if cap.category == "transactional":
            continue
        window_ms = round(cap.per_hours * HOUR_MS)
        sent: dict[tuple[str, str], list[Millis]] = defaultdict(list)
        for send in marketing:
            if cap.channel in (None, send["channel"]):
                of_workflow = str(send["workflow_id"]) if cap.scope == "workflow" else ""
                instants, at = sent[str(send["customer_id"]), of_workflow], _at(send, "send_at")
                instants.append(at)
                within = sum(1 for instant in instants if at - instant < window_ms)
                if within > cap.max:
                    yield f"{_message(send)} as number {within} within {cap.per_hours:g} hours, where {cap.max} may go"


def never_in_quiet_hours(world: World) -> Iterator[str]:
    """No marketing message goes out in quiet hours: the settings', or the customer's own."""
    preferences = _Preferences()
    lines = [line for line in world.lines if line.event is not None]
    place = 0
    for send in world.sends():
        at = _at(send, "send_at")
        while place < len(lines) and lines[place].clock < at:
            event = lines[place].event
            if event is not None:
                preferences.take(event)
            place += 1
        if send["category"] != "marketing" or any(line.clock == at for line in lines):
            continue
        workflow = world.definitions.workflows[str(send["workflow_id"])]
        usual = workflow.settings.timezone or world.definitions.settings.default_timezone
        customer = str(send["customer_id"])
        zone = preferences.of(customer, "timezone") or usual
        quiet = preferences.of(customer, "quiet_hours") or msgspec.to_builtins(world.definitions.settings.quiet_hours)
        if isinstance(quiet, dict) and _is_quiet(at, str(zone), quiet, str(send["channel"])):
            yield f"{_message(send)}, in quiet hours of {zone}: {quiet['start']} to {quiet['end']}"


class _Preferences:
    """What customers prefer, as the events so far say; of two the later one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Millis, Json]] = {}

    def take(self, event: Event) -> None:
        properties: dict[str, Json] = msgspec.json.decode(event.properties)
        given = properties.get("preferences")
        if event.type != "customer_updated" or not isinstance(given, dict):
            return
        customer = customer_key(event).decode().removeprefix("c:")
        for name, value in given.items():
            if event.occurred_at >= self._known.get((customer, name), (event.occurred_at, None))[0]:
                self._known[customer, name] = (event.occurred_at, value)

    def of(self, customer: str, name: str) -> Json:
        return self._known.get((customer, name), (0, None))[1]


def _is_quiet(at: Millis, zone: str, quiet: dict[str, Json], channel: str) -> bool:
    """Tell whether a local minute lies in a window that began on one of its days, today or yesterday."""
    channels, days = quiet.get("channels", MESSAGE_CHANNELS), quiet.get("days", _WEEKDAYS)
    if not isinstance(channels, list | tuple) or channel not in channels or not isinstance(days, list | tuple):
        return False
    moment = datetime.fromtimestamp(at // 1_000, ZoneInfo(zone))
    minute = moment.hour * 60 + moment.minute
    today, yesterday = _WEEKDAYS[moment.weekday()], _WEEKDAYS[moment.weekday() - 1]
    start, end = (int(str(quiet[name])[:2]) * 60 + int(str(quiet[name])[3:]) for name in ("start", "end"))
    if start < end:
        return today in days and start <= minute < end
    return (today in days and minute >= start) or (yesterday in days and minute < end)


def _at(record: Record, name: str) -> Millis:
    return parse_instant(record[name])


def _message(send: Record) -> str:
    return f"{send['step_id']} of {send['workflow_id']} went to {send['customer_id']} at {send['send_at']}"


LAWS: Final[tuple[Law, ...]] = (
    each_message_once,
    executions_end,
    nothing_after_the_end,
    nobody_unwilling,
    never_over_a_cap,
    never_in_quiet_hours,
)
