"""What `tidings status` finds: one value with everything, which is also its answer for programs.

Kafka itself tells how far the groups are, what is in force and what was decided last, wherever the processes run. What
only they know (who waits, whose timers are overdue, how their clocks are) is asked of those on this machine, and of
those whose addresses are given.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from confluent_kafka import KafkaException, Message
from msgspec import Struct

from agents.catalogues import StoredVersion, command_of
from agents.customers import Position
from agents.standing import Standing
from journeys.documents import id_of, kind_of
from schemas.decisions import Kind
from schemas.instants import Millis, as_text
from schemas.log import Holds
from schemas.outbound import outbound_json
from schemas.topics import CUSTOMER_LOG, DEAD_LETTERS, DECISIONS, PUBLIC_TOPICS
from schemas.wire import SchemaOf
from streams.connection import Connection
from streams.reading import read_to_end
from streams.topics import committed_offsets, end_offsets, first_offsets, members
from tidings.processes import INGEST_GROUP, WORKER_GROUP
from tidings.seeing.addresses import Address
from tidings.seeing.asking import Samples, ask_metrics, ask_ready, largest, total
from tidings.seeing.health import Health

LAST_OFFSETS: Final = 500
"""So many offsets from the end of a partition hold a record beside the markers of transactions."""


class Keeping(Struct, frozen=True):
    """How a group of processes keeps up: how many there are, and how many records they haven't taken yet."""

    processes: int
    behind: int
    oldest_seconds: float | None = None
    """How long the oldest of them has waited; None where no process could be asked."""


class Seen(Struct, frozen=True, kw_only=True):
    """One process that was asked."""

    name: str
    url: str
    pid: int | None = None
    health: Health | None
    """None: it doesn't answer."""


class InForce(Struct, frozen=True, kw_only=True):
    """The version of the definitions in force."""

    version: int
    since: str
    mode: str
    workflows: list[str]
    partitions_waiting: int
    """Partitions that haven't come to it yet."""
    open_backfill: str | None = None
    """The command that goes on with the backfill that the version began; None where none is open."""


class LastDecision(Struct, frozen=True, kw_only=True):
    """The decision that was recorded last."""

    at: str
    kind: Kind
    reason: str | None = None
    workflow_id: str | None = None


class Letters(Struct, frozen=True, kw_only=True):
    """Public records that are no events."""

    kept: int
    last_at: str | None = None


class Inside(Struct, frozen=True, kw_only=True):
    """What the workers that were asked know; of those alone."""

    customers: int
    timers_due: int
    timers_overdue: int
    timers_delay_seconds: float
    time_behind_seconds: float | None
    clock_ahead_seconds: float | None
    customers_held: int
    records_held: int
    customers_quarantined: int


class Crowd(Struct, frozen=True, kw_only=True):
    """All customers, and where they stand."""

    known: int
    executions_paused: int
    by_step: dict[str, int]


class Report(Struct, frozen=True, kw_only=True):
    """Everything that was found."""

    kafka: str
    prefix: str
    at: str
    processes: list[Seen]
    ingest: Keeping
    worker: Keeping
    definitions: InForce | None
    stopped: list[str]
    """What `tidings pause` holds back, each as a partition knows it."""
    stopped_differs: bool
    """Whether partitions differ in that: not all have read the command yet."""
    last_decision: LastDecision | None
    dead_letters: Letters
    inside: Inside | None
    """None where no worker could be asked."""
    customers: Crowd | None = None


def ask_processes(addresses: Iterable[Address], urls: Iterable[str]) -> list[Seen]:
    """Ask the processes of this machine, and those at other addresses, how they are."""
    known = [Seen(name=one.name, url=one.url, pid=one.pid, health=ask_ready(one.url)) for one in addresses]
    return known + [Seen(name="elsewhere", url=url.rstrip("/"), health=ask_ready(url)) for url in urls]


def measured(processes: Iterable[Seen]) -> list[Samples]:
    """Ask the processes that answered what they count."""
    found = (ask_metrics(one.url) for one in processes if one.health is not None)
    return [samples for samples in found if samples is not None]


def keeping(
    connection: Connection, prefix: str, group: str, topics: Sequence[str], samples: Sequence[Samples] = ()
) -> Keeping:
    """Ask how a group keeps up with topics; an end that doesn't answer counts as no process.

    Raises:
        confluent_kafka.KafkaException: Kafka doesn't answer.
    """
    behind, names = 0, {prefix + name for name in topics}
    for name in names:
        ends = end_offsets(connection, name)
        done = committed_offsets(connection, prefix + group, name)
        behind += sum(max(end - done.get(partition, 0), 0) for partition, end in ends.items())
    waits = [
        seconds
        for one in samples
        for labels, seconds in one.get("tidings_lag_seconds", ())
        if labels.get("topic") in names
    ]
    try:
        processes = members(connection, prefix + group)
    except KafkaException:
        processes = 0
    return Keeping(processes, behind, max(waits, default=None) if behind else None)


def keeping_up(connection: Connection, prefix: str, samples: Sequence[Samples]) -> tuple[Keeping, Keeping]:
    """Ask how ingest and workers keep up.

    Raises:
        confluent_kafka.KafkaException: Kafka doesn't answer.
    """
    return (
        keeping(connection, prefix, INGEST_GROUP, PUBLIC_TOPICS, samples),
        keeping(connection, prefix, WORKER_GROUP, (CUSTOMER_LOG,), samples),
    )


def in_force(version: StoredVersion | None, positions: dict[int, Position], partitions: int) -> InForce | None:
    """Say which version is in force since when, what it holds, and how many partitions haven't come to it yet."""
    if version is None:
        return None
    stored = version.stored
    there = [number for number, position in positions.items() if position.catalogue >= stored.number]
    return InForce(
        version=stored.number,
        since=as_text(version.at) or "",
        mode=stored.editing.mode,
        workflows=sorted(str(id_of(document)) for document in stored.documents if kind_of(document) == "workflow"),
        partitions_waiting=partitions - len(there),
        open_backfill=command_of(stored.backfill) if stored.backfill is not None and stored.hands_over else None,
    )


def stopped(holds: Iterable[Holds | None]) -> list[str]:
    """Name what `tidings pause` has stopped, once for each way in which partitions know it."""
    return sorted({_named(one) for one in holds} - {""})


def _named(holds: Holds | None) -> str:
    if holds is None:
        return ""
    names = [f"workflow {name}" for name in holds.workflows] + [f"channel {name}" for name in holds.channels]
    return ", ".join((["everything"] if holds.everything else []) + names)


def last_decision(connection: Connection, prefix: str, schema_of: SchemaOf) -> LastDecision | None:
    """Return the decision that was recorded last; None where none is found near the ends.

    Raises:
        TidingsError: Kafka doesn't answer, or what is found there can't be read.
    """
    latest = _latest(read_to_end(connection, [prefix + DECISIONS], last=LAST_OFFSETS))
    if latest is None:
        return None
    return msgspec.json.decode(outbound_json(DECISIONS, latest.value() or b"", schema_of), type=LastDecision)


def dead_letters(connection: Connection, prefix: str) -> Letters:
    """Count the dead letters that Kafka still has, and say when the last one was published.

    Raises:
        TidingsError: Kafka doesn't answer.
    """
    topic = prefix + DEAD_LETTERS
    first, ends = first_offsets(connection, topic), end_offsets(connection, topic)
    kept = sum(end - first.get(partition, 0) for partition, end in ends.items())
    latest = _latest(read_to_end(connection, [topic], last=1)) if kept else None
    return Letters(kept=kept, last_at=None if latest is None else as_text(latest.timestamp()[1]))


def inside(samples: Sequence[Samples]) -> Inside | None:
    """Add up what workers say; None where none was asked."""
    workers = [one for one in samples if "tidings_timers_due" in one]
    if not workers:
        return None
    apart = [value for one in workers for _, value in one.get("tidings_clock_ahead_seconds", ())]
    return Inside(
        customers=int(total(workers, "tidings_customers")),
        timers_due=int(total(workers, "tidings_timers_due")),
        timers_overdue=int(total(workers, "tidings_timers_overdue")),
        timers_delay_seconds=largest(workers, "tidings_timers_delay_seconds") or 0.0,
        time_behind_seconds=largest(workers, "tidings_time_behind_seconds"),
        clock_ahead_seconds=max(apart, key=abs, default=None),
        customers_held=int(total(workers, "tidings_customers_held")),
        records_held=int(total(workers, "tidings_customers_held_records")),
        customers_quarantined=int(total(workers, "tidings_customers_quarantined")),
    )


def crowd(standing: Standing) -> Crowd:
    """Count the customers, and how many stand in each step."""
    known, steps, paused = 0, dict[str, int](), 0
    for _, customer in standing.customers():
        known += 1
        for execution in customer.executions:
            paused += execution.paused_at is not None
            for visit in execution.branches:
                place = f"{execution.workflow_id}, {visit.step_id}"
                steps[place] = steps.get(place, 0) + 1
    return Crowd(known=known, executions_paused=paused, by_step=dict(sorted(steps.items())))


def _latest(messages: Iterable[Message]) -> Message | None:
    def when(message: Message) -> tuple[Millis, int]:
        return message.timestamp()[1], message.offset() or 0

    return max(messages, key=when, default=None)
