"""`tidings replay`: the customer log once more, through the same rules, held against what was decided then."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Struct
from rich.console import Console

from agents.catalogues import read_versions
from agents.comparing import Difference, Span
from agents.customers import Position
from agents.kept_log import KeptPartition, kept_log, nothing_in
from agents.left_out import read_left_out
from agents.replaying import (
    Cause,
    PartitionReplay,
    Reach,
    ReplayPlan,
    customer_keys,
    partitions_of,
    reach_of,
)
from agents.snapshots import why_nothing_goes_on
from agents.standing import read_positions, read_standing
from journeys.catalogue import RULES_VERSION
from schemas.editing import Mode
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import Millis, format_instant, parse_instant
from schemas.topics import CUSTOMER_LOG, DECISIONS, SEND_TOPICS, WEBHOOK_CALLS
from streams.connection import Connection
from streams.topics import partition_counts
from tidings.clock import monotonic_s
from tidings.commands.options import refuse_no_snapshot, refuse_unwritable
from tidings.commands.processes import reached
from tidings.commands.showing import folding_shown
from tidings.commands.what_if import what_if
from tidings.horizon import horizon_lines
from tidings.printing import counted
from tidings.processes import topic_ids
from tidings.replaying import first_cause, first_difference, replay_all, spelled_out
from tidings.settings import process_environment, read_settings
from tidings.usage import WrongUsage

SHOWN: Final = 10
"""Differences that are told one by one; `--output` has them all."""
_KINDS: Final = {"gone": "only recorded", "added": "only replayed", "changed": "differs"}


def replay(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Compare what was decided from this time on, RFC 3339."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Compare what was decided before this time, RFC 3339.")
    ] = None,
    customers: Annotated[
        list[str] | None,
        typer.Option("--customer", metavar="ID", help="This customer alone (a visitor: `a:` and the id); repeatable."),
    ] = None,
    partitions: Annotated[
        list[int] | None, typer.Option("--partition", min=0, metavar="N", help="This partition alone; repeatable.")
    ] = None,
    offsets: Annotated[
        str | None, typer.Option("--offsets", metavar="A:B", help="Log records A to before B, of one --partition.")
    ] = None,
    snapshots: Annotated[
        Path | None,
        typer.Option("--snapshots", metavar="DIR", help="Go on from the snapshots in this folder, and leave others."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, max=256, help="At once. Default: one for each processor.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where every difference goes, NDJSON.")
    ] = None,
    definitions: Annotated[
        Path | None,
        typer.Option("--definitions", metavar="DIR", help="What if these had been in force: fold under them instead."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="With --definitions: what differs, by workflow, step and reason.")
    ] = False,
    mode: Annotated[
        Mode, typer.Option("--mode", help="With --definitions and --since: what becomes of executions under way.")
    ] = "pin",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="With --definitions: a page for a browser.")
    ] = None,
    horizon: Annotated[
        bool, typer.Option("--horizon", help="Only say how far back one can go; --snapshots counts.")
    ] = False,
) -> None:
    """Fold the customer log again and compare every decision and send with what was recorded; nothing is sent.

    Ends with 1 if anything differs. With --definitions, says what would have been sent under other definitions.
    """
    refuse_unwritable(output, html)
    settings = read_settings(process_environment())
    console = Console(highlight=False, soft_wrap=True)
    connection, prefix = reached(settings), settings.topic_prefix
    log = prefix + CUSTOMER_LOG
    count = partition_counts(connection, [log]).get(log)
    if count is None:
        raise TidingsError(f"there is no topic {log}: nothing has run here, or another prefix (TIDINGS_TOPIC_PREFIX)")
    positions = _positions(connection, prefix, count)
    reaches = reach_of(connection, prefix, {number: one.next_offset for number, one in positions.items()})
    topic_id = topic_ids(connection, [log])[log]
    within = _span(since, until)
    if horizon:
        refuse_no_snapshot(snapshots, count, topic_id)
        for line in horizon_lines(log, kept_log(connection, prefix, reaches, topic_id, snapshots)):
            console.print(line)
        return
    if since is not None or until is not None:
        _refuse_lost(kept_log(connection, prefix, reaches, topic_id, None), since, until)
    if definitions is not None:
        _refuse_parts(customers, partitions, offsets)
        what_if(
            connection, prefix, reaches, definitions, mode=mode, processes=processes, snapshots=snapshots,
            topic_id=topic_id, compare=compare, output=output, html=html,
            since=None if since is None else within.since, until=None if until is None else within.until,
        )  # fmt: skip
        return
    if compare or html is not None or mode != "pin":
        raise WrongUsage("--compare, --mode and --html go with --definitions DIR, the definitions to compare with")
    keys = customer_keys(customers or ())
    plan = ReplayPlan(
        connection=connection, prefix=prefix, partitions=count, topic_id=topic_id,
        within=within, customers=keys, offsets=_offsets(offsets, partitions or []), snapshots=snapshots,
        registry_url=settings.schema_registry_url, left_out=read_left_out(connection, prefix),
    )  # fmt: skip
    chosen = _chosen(partitions, count) or (partitions_of(keys, count) if keys else sorted(reaches))
    reaches = {number: reaches[number] for number in chosen}
    _refuse_no_offsets(log, plan.offsets, reaches)
    for note in (*_other_rules(connection, prefix), *_no_snapshot_yet(plan)):
        console.print(note)
    began = monotonic_s()
    with folding_shown() as progress:
        results = replay_all(plan, reaches, progress, processes)
    _refuse_unknown(customers or (), results)
    _tell(console, plan, reaches, results, monotonic_s() - began)
    if output is not None:
        _write(output, results)
    if any(result.differences or result.is_given_up for result in results):
        raise typer.Exit(1)


def _positions(connection: Connection, prefix: str, count: int) -> dict[int, Position]:
    positions = read_positions(connection, prefix)
    return positions if len(positions) == count else read_standing(connection, prefix).positions


def _span(since: str | None, until: str | None) -> Span:
    first = -(2**63) if since is None else _instant("--since", since)
    last = 2**63 - 1 if until is None else _instant("--until", until)
    if first >= last:
        raise WrongUsage(f"--since {since} isn't before --until {until}")
    return Span(first, last)


def _refuse_no_offsets(log: str, offsets: tuple[int, int] | None, reaches: Mapping[int, Reach]) -> None:
    """Make sure that offsets of a partition have anything to look at.

    Raises:
        TidingsError: nothing of them is in the log.
    """
    if offsets is None:
        return
    for number, reach in reaches.items():
        if offsets[0] >= reach.log_end or offsets[1] <= reach.log_start:
            raise TidingsError(
                f"--offsets {offsets[0]}:{offsets[1]}: partition {number} of {log} holds {reach.log_start} to before"
                f" {reach.log_end}; name some of these"
            )


def _refuse_lost(kept: Sequence[KeptPartition], since: str | None, until: str | None) -> None:
    """Make sure that a span has anything to look at.

    Raises:
        TidingsError: nothing of it is in the log.
    """
    first = None if since is None else _instant("--since", since)
    nothing = nothing_in(kept, first, None if until is None else _instant("--until", until))
    if nothing is not None:
        raise TidingsError(nothing)


def _refuse_parts(*asked: object) -> None:
    if any(asked):
        raise WrongUsage(
            "--definitions is about everybody: of the other options it takes --since, --until, --mode,"
            " --processes, --snapshots, --compare, --output and --html"
        )


def _instant(option: str, text: str) -> Millis:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise WrongUsage(f"{option}: {error}") from None


def _offsets(text: str | None, partitions: list[int]) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, end = text.partition(":")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise WrongUsage(f"--offsets {text}: give two numbers, the smaller first, such as 1000:2000")
    if len(partitions) != 1:
        raise WrongUsage("--offsets is about one partition: name it with --partition")
    return int(first), int(end)


def _chosen(partitions: list[int] | None, count: int) -> list[int]:
    beyond = [number for number in partitions or () if number >= count]
    if beyond:
        raise TidingsError(f"--partition {beyond[0]}: the customer log has {count}, numbered from 0")
    return sorted(set(partitions or ()))


def _other_rules(connection: Connection, prefix: str) -> list[str]:
    """Say which versions were applied under other rules than this program's."""
    versions = [version.stored for version in read_versions(connection, prefix)]
    return [
        f"Version {stored.number} was applied under rules {stored.rules_version}, this program has {RULES_VERSION}:"
        " differences may come from that; CHANGELOG.md says what changed."
        for stored in versions
        if stored.rules_version != RULES_VERSION
    ]


def _no_snapshot_yet(plan: ReplayPlan) -> list[str]:
    """Say that a folder has nothing to go on from yet, as the first replay that leaves snapshots in it finds it.

    Raises:
        TidingsError: it has nothing, and this replay leaves nothing in it.
    """
    folder = plan.snapshots
    if not plan.is_whole:
        refuse_no_snapshot(folder, plan.partitions, plan.topic_id)
    why = None if folder is None else why_nothing_goes_on(folder, range(plan.partitions), plan.topic_id)
    if why is None:
        return []
    return [f"{why[0].upper()}{why[1:]}: folding from the log's beginning, and leaving snapshots there."]


def _refuse_unknown(customers: Sequence[str], results: list[PartitionReplay]) -> None:
    """Make sure that whoever was asked about stands in the log.

    Raises:
        TidingsError: somebody doesn't.
    """
    met = {key for result in results for key in result.met}
    unknown = [one for one, key in zip(customers, customer_keys(customers), strict=True) if key not in met]
    if unknown:
        raise TidingsError(
            f"nothing is known of {', '.join(unknown)}: the log has no record of such a customer; a visitor is called"
            " a:ID"
        )


def _tell(
    console: Console, plan: ReplayPlan, reaches: dict[int, Reach], results: list[PartitionReplay], seconds: float
) -> None:
    folded = sum(result.records for result in results)
    rate = f", {folded / seconds:,.0f} a second" if folded and seconds > 0 else ""
    console.print(
        f"Folded {counted(folded, 'record')} of {counted(len(results), 'partition')} in {seconds:.1f} s{rate}."
    )
    begun = [result for result in results if result.start]
    if begun:
        by_then = (
            ", with what was compared by then"
            if plan.is_whole
            else "; what lies before it was compared when it was made, and isn't counted"
        )
        console.print(f"{len(begun)} of {counted(len(results), 'partition')} went on from a snapshot{by_then}.")
    differences = [found for result in results for found in result.differences]
    for what, names in (("decision", (DECISIONS,)), ("send", SEND_TOPICS), ("webhook call", (WEBHOOK_CALLS,))):
        same = sum(result.same[name] for result in results for name in names)
        other = sum(found.topic in names for found in differences)
        if same or other:
            console.print(
                f"{same:,} of {counted(same + other, what)} came out again, with their ids, times and contents."
            )
    unchecked, undecided = sum(one.unchecked for one in results), sum(one.undecided for one in results)
    if unchecked:
        console.print(f"{unchecked:,} records can't be compared: what was written is older than what Kafka keeps.")
    if undecided:
        console.print(f"{undecided:,} records of the log weren't decided yet when the replay began.")
    if any(result.is_given_up for result in results):
        console.print("So much differs that the rest wasn't looked at.")
    if differences:
        _tell_differences(console, plan, reaches, results, differences)


def _tell_differences(
    console: Console, plan: ReplayPlan, reaches: dict[int, Reach], results: list[PartitionReplay],
    differences: list[Difference],
) -> None:  # fmt: skip
    console.print(f"\n{len(differences):,} differ:")
    for found in sorted(differences, key=lambda one: (one.at, one.customer_id, one.record_id))[:SHOWN]:
        console.print(
            f"  {format_instant(found.at)}  {found.customer_id}  {found.topic} {found.record_id}: {_KINDS[found.kind]}"
        )
    if len(differences) > SHOWN:
        console.print(f"  … and {len(differences) - SHOWN:,} more; --output FILE has them all")
    first = first_difference(results)
    assert first is not None  # noqa: S101 -- there are differences
    console.print("\nThe first of them:")
    console.print(f"  recorded  {_json(first[1].recorded)}")
    console.print(f"  replayed  {_json(first[1].replayed)}")
    cause = first_cause(plan, reaches, results)
    if cause is not None:
        _tell_cause(console, cause, first[0].partition)


def _tell_cause(console: Console, cause: Cause, partition: int) -> None:
    value = _json(cause.value) if cause.value else "a record between customers who are merged"
    console.print(f"  input     offset {cause.offset:,} of partition {partition}, {format_instant(cause.at)}: {value}")
    state = (
        "nothing was known of her" if cause.before is None else _json(msgspec.json.encode(spelled_out(cause.before)))
    )
    console.print(f"  state     before it, replayed: {state}")
    console.print("            of the recorded side its `state_hash` is known; where it differs already, look at the")
    console.print("            customer's decisions before this one with --customer")


def _json(value: bytes | None) -> str:
    return "none" if value is None else value.decode(errors="replace")


class _Record(Struct, frozen=True, kw_only=True):
    """A line of `--output`."""

    difference: str
    topic: str
    id: str
    at: str
    customer_id: str
    recorded: Json
    replayed: Json


def _write(output: Path, results: list[PartitionReplay]) -> None:
    try:
        with output.open("wb") as file:
            for result in results:
                for found in result.differences:
                    file.write(msgspec.json.encode(_record(found)) + b"\n")
    except OSError as error:
        raise TidingsError(f"can't write the differences to {output}: {error.strerror}") from None


def _record(found: Difference) -> _Record:
    return _Record(
        difference=found.kind,
        topic=found.topic,
        id=found.record_id,
        at=format_instant(found.at),
        customer_id=found.customer_id,
        recorded=None if found.recorded is None else msgspec.json.decode(found.recorded),
        replayed=None if found.replayed is None else msgspec.json.decode(found.replayed),
    )
