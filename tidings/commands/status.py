"""`tidings status`: what a person asks first. Is it running, is it keeping up, what is in force, what is stopped."""

from typing import Annotated, Final

import typer
from confluent_kafka import KafkaException
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from agents.catalogues import StoredVersion
from agents.customers import Position
from agents.standing import Standing, read_positions, read_standing
from journeys.documents import id_of, kind_of
from schemas.instants import format_instant
from schemas.log import Holds
from schemas.topics import CUSTOMER_LOG, PUBLIC_TOPICS
from streams.connection import Connection
from streams.topics import committed_offsets, end_offsets, members, partition_counts
from tidings.commands.catalogue import stored_version
from tidings.commands.processes import reached
from tidings.processes import INGEST_GROUP, WORKER_GROUP
from tidings.settings import process_environment, read_settings

CustomersOption = Annotated[
    bool, typer.Option("--customers", help="Count customers and where they stand; reads every customer's state.")
]
_NEVER: Final = "nothing is in force; run `tidings apply DIR`"


class Keeping(Struct, frozen=True):
    """How a group of processes keeps up: how many there are, and how many records they haven't taken yet."""

    processes: int
    behind: int

    def in_words(self, what: str) -> str:
        """Say it: "2 running, all decided"; "none running, 1,200 records not decided yet"."""
        running = f"{self.processes} running" if self.processes else "none running"
        return f"{running}, {f'{self.behind:,} records not {what} yet' if self.behind else f'all {what}'}"


def status(customers: CustomersOption = False) -> None:
    """Say whether it is running and keeping up, which definitions are in force, and what is stopped."""
    settings = read_settings(process_environment())
    console = Console(highlight=False, soft_wrap=True)
    connection, prefix = reached(settings), settings.topic_prefix
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("Kafka", f"{connection.bootstrap_servers}, topics {prefix}…")
    if not partition_counts(connection, [prefix + CUSTOMER_LOG]):
        table.add_row("Topics", "not there yet; `tidings worker`, `tidings ingest` and `tidings apply` make them")
        console.print(table)
        return
    standing = read_standing(connection, prefix) if customers else None
    positions = read_positions(connection, prefix) if standing is None else standing.positions
    version = stored_version(connection, prefix)
    partitions = partition_counts(connection, [prefix + CUSTOMER_LOG])[prefix + CUSTOMER_LOG]
    table.add_row("Ingest", keeping(connection, prefix, INGEST_GROUP, PUBLIC_TOPICS).in_words("taken in"))
    table.add_row("Worker", keeping(connection, prefix, WORKER_GROUP, (CUSTOMER_LOG,)).in_words("decided"))
    table.add_row("Definitions", definitions_in_words(version, positions, partitions))
    table.add_row("Stopped", holds_in_words([position.holds for position in positions.values()]))
    if standing is not None:
        add_customers(table, standing)
    console.print(table)


def keeping(connection: Connection, prefix: str, group: str, topics: tuple[str, ...]) -> Keeping:
    """Ask how a group keeps up with topics; an end that doesn't answer counts as no process.

    Raises:
        confluent_kafka.KafkaException: Kafka doesn't answer.
    """
    behind = 0
    for name in topics:
        ends = end_offsets(connection, prefix + name)
        done = committed_offsets(connection, prefix + group, prefix + name)
        behind += sum(max(end - done.get(partition, 0), 0) for partition, end in ends.items())
    try:
        processes = members(connection, prefix + group)
    except KafkaException:
        processes = 0
    return Keeping(processes, behind)


def definitions_in_words(version: StoredVersion | None, positions: dict[int, Position], partitions: int) -> str:
    """Say which version is in force since when, what it holds, and which partitions haven't come to it yet."""
    if version is None:
        return _NEVER
    stored = version.stored
    workflows = sorted(str(id_of(document)) for document in stored.documents if kind_of(document) == "workflow")
    there = [number for number, position in positions.items() if position.catalogue >= stored.number]
    waiting = partitions - len(there)
    told = f"version {stored.number} since {format_instant(version.at)} ({stored.editing.mode}): "
    told += ", ".join(workflows) or "no workflows"
    return told + (f"; {waiting} of {partitions} partitions haven't come to it yet" if waiting else "")


def holds_in_words(holds: list[Holds | None]) -> str:
    """Say what `tidings pause` has stopped, and where partitions differ because a worker hasn't read it yet."""
    found = {_named(one) for one in holds}
    if len(found) > 1:
        return f"{' / '.join(sorted(found))} (partitions differ: not all have read the command yet)"
    return next(iter(found), "nothing")


def _named(holds: Holds | None) -> str:
    if holds is None:
        return "nothing"
    names = [f"workflow {name}" for name in holds.workflows] + [f"channel {name}" for name in holds.channels]
    return ", ".join((["everything"] if holds.everything else []) + names) or "nothing"


def add_customers(table: Table, standing: Standing) -> None:
    """Add how many customers are known, and how many stand in each step."""
    known, steps, paused = 0, dict[str, int](), 0
    for _, customer in standing.customers():
        known += 1
        for execution in customer.executions:
            paused += execution.paused_at is not None
            for visit in execution.branches:
                place = f"{execution.workflow_id}, {visit.step_id}"
                steps[place] = steps.get(place, 0) + 1
    table.add_row("Customers", f"{known:,} known")
    if paused:
        table.add_row("Paused", f"{paused:,} executions, one by one")
    for place, count in sorted(steps.items()):
        table.add_row("", f"{count:,} in {place}")
