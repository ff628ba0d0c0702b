"""`tidings backfill`: a new workflow as if it had always been there, or what that would come to."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from agents.backfilling import Backfill, Differs, Standing, hours, refused_since, sent_at_hand_over
from agents.catalogues import Catalogues, StoredVersion, command_of, read_versions, same_set
from agents.customers import CustomerFold
from agents.handing_over import HandOver
from agents.left_out import read_left_out
from agents.merged_log import merged_log
from agents.replaying import Reach, reach_of
from agents.world import LogRecord
from journeys.backfilling import Owned, obstacles, owned_by
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.documents import id_of, kind_of
from journeys.unrecorded import Made
from journeys.validation import definitions_from_documents
from schemas.definitions import Definitions
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import Millis, format_instant, parse_instant
from schemas.staging import Backfill as Asked
from schemas.staging import PastSends
from schemas.topics import CUSTOMER_LOG
from streams.connection import Connection
from streams.topics import partition_counts
from tidings.backfilling import LAG_MS, Going, hand_over
from tidings.clock import monotonic_s, wall_ms
from tidings.commands.options import load_valid_folder, refuse_unwritable, write_file
from tidings.commands.processes import reached
from tidings.commands.showing import folding_shown
from tidings.differences import differences
from tidings.settings import process_environment, read_settings
from tidings.usage import WrongUsage

TELL_EVERY: Final = 1_000
"""Records between two steps of the progress bar."""
_WHY: Final[dict[Differs, str]] = {
    "best_hours": "its messages of the past would have told of their best hours",
    "caps": "its messages of the past didn't go out, so they count against no frequency cap",
    "engagement": "it looks at engagement, and nobody can know what they would have done with messages of the past",
    "forgotten": "visitors of whom nothing is known any more",
    "other_workflows": "other workflows would have gone on differently beside it, and aren't changed",
    "profile": "what its actions would have written isn't written",
    "room": "its executions find no room (`max_concurrent_executions`)",
}
COMES_ALONG: Final = frozenset({"template", "content_block"})
"""Kinds of which a new workflow may bring its own: nobody else can have looked at them."""


def backfill(
    workflow_id: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The id of the new workflow.")],
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From when on it would have been there, RFC 3339.")
    ],
    definitions: Annotated[
        Path, typer.Option("--definitions", metavar="DIR", help="What is in force, and the new workflow.")
    ],
    past_sends: Annotated[
        PastSends, typer.Option("--past-sends", help="Of what it would have sent by now: nothing, or what is fresh.")
    ] = "skip",
    fresh_hours: Annotated[
        float | None,
        typer.Option("--fresh-hours", min=0, max=8_760, help="With latest and all: no message that is older."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say who would be where, and what would be sent.")
    ] = False,
    leave_rest: Annotated[
        bool,
        typer.Option("--leave-rest", help="Whoever can't go over within half a minute begins without her past."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="With --dry-run: who and what would be else, NDJSON."),
    ] = None,
) -> None:
    """Put a new workflow in force as if it had always been there, while everything runs on.

    Interrupted or killed, at any point: say the same again, and it goes on. --dry-run only says who would be where.
    """
    if dry_run and leave_rest:
        raise WrongUsage("--leave-rest goes with a hand-over, and not with --dry-run")
    if output is not None and not dry_run:
        raise WrongUsage("--output goes with --dry-run, which says beforehand who would stand elsewhere")
    refuse_unwritable(output)
    if past_sends != "skip" and fresh_hours is None:
        raise WrongUsage(f"--past-sends {past_sends} needs --fresh-hours N: how old a message may be and still go out")
    if past_sends == "skip" and fresh_hours is not None:
        raise WrongUsage("--fresh-hours goes with --past-sends latest or all; without it nothing of the past is sent")
    begin = _read_since(since)
    valid = load_valid_folder(definitions)
    _refuse_what_cannot_be(valid.definitions, workflow_id)
    settings = read_settings(process_environment())
    connection, prefix = reached(settings), settings.topic_prefix
    versions = _versions(connection, prefix)
    asked = Asked(
        workflow_id=workflow_id, since=max(begin, versions[0].at), policy=past_sends, fresh_ms=hours(fresh_hours or 0)
    )
    known = _begun(versions[-1], asked, valid.documents)
    if known is not None and not known.stored.hands_over:
        typer.echo(f"Nothing to do: workflow {workflow_id} was backfilled, in version {known.stored.number}.")
        return
    before = versions if known is None else versions[:-1]
    if known is None:
        _refuse_other_edits(versions, valid.documents, workflow_id)
    reaches = _reaches(connection, prefix)
    own = [document for document in valid.documents if _is_added(document, before[-1].stored.documents)]
    began = monotonic_s()
    shadow = _Shadow(connection, prefix, versions, own, workflow_id, begin)
    owned = owned_by(compile_catalogue(valid.definitions, 1), valid.definitions, workflow_id)
    if dry_run:
        _read(connection, prefix, reaches, shadow.worlds.take, begin)
        standing = _standing(shadow, owned, valid.definitions, begin)
        _tell(workflow_id, standing, past_sends, fresh_hours, monotonic_s() - began)
        write_file(output, lambda: _lines(standing))
        return
    going = Going(
        connection=connection, prefix=prefix, asked=asked, owned=owned, documents=valid.documents, known=known,
        behind=before[-1].stored.number, begun_s=began, leaves_rest=leave_rest,
    )  # fmt: skip
    _hand_over(going, shadow, reaches, begin)


def _standing(shadow: "_Shadow", owned: Owned, definitions: Definitions, since: Millis) -> Standing:
    """Say where everybody would be at the end of what was read."""
    _refuse(refused_since(since, ends_at=shadow.worlds.ends_at))
    shadow.worlds.finish()
    return shadow.worlds.standing(owned, definitions.settings.max_concurrent_executions)


def _hand_over(going: Going, shadow: "_Shadow", reaches: dict[int, Reach], since: Millis) -> None:
    """Read the log to where it ends, and hand over from there."""
    partitions = sorted(reaches)
    work = HandOver(shadow.worlds, shadow.made, partitions, lambda number: shadow.fold(number, len(partitions)))
    try:
        _read(going.connection, going.prefix, reaches, work.take, since)
        work.fold()
        _refuse(refused_since(since, ends_at=shadow.worlds.ends_at))
        hand_over(going, work, {number: reach.log_end for number, reach in reaches.items()})
    finally:
        work.close()


def _read_since(text: str) -> Millis:
    try:
        since = parse_instant(text)
    except ValueError as error:
        raise WrongUsage(f"--since: {error}") from None
    if since > wall_ms():
        raise TidingsError(f"--since {text} is still to come: `tidings apply` puts a workflow in force from now on")
    return since


# Refusals -----------------------------------------------------------------------------------------------------


def _refuse_what_cannot_be(definitions: Definitions, workflow_id: str) -> None:
    workflow = definitions.workflows.get(workflow_id)
    if workflow is None:
        known = ", ".join(sorted(definitions.workflows)) or "none"
        raise TidingsError(f"the folder has no workflow {workflow_id}; it has: {known}")
    if not workflow.enabled:
        raise TidingsError(f"workflow {workflow_id} is off (`enabled: false`): it would have done nothing")
    found = obstacles(definitions, workflow_id)
    if found:
        lines = "\n".join(f"  {line}" for line in found)
        raise TidingsError(
            f"workflow {workflow_id} can't be backfilled; `tidings apply` starts it from now on:\n{lines}"
        )


def _versions(connection: Connection, prefix: str) -> list[StoredVersion]:
    log = prefix + CUSTOMER_LOG
    if log not in partition_counts(connection, [log]):
        raise TidingsError(f"there is no topic {log}: nothing has run here, or another prefix (TIDINGS_TOPIC_PREFIX)")
    versions = read_versions(connection, prefix)
    if not versions:
        raise TidingsError(f"{prefix}definitions holds no version: nothing was ever in force here, so apply the folder")
    return versions


def _begun(latest: StoredVersion, asked: Asked, documents: list[Json]) -> StoredVersion | None:
    """Return the version that began this backfill; None if none has."""
    begun = latest.stored.backfill
    if begun is None or (begun.is_over and begun.workflow_id != asked.workflow_id):
        return None
    same = replace(begun, is_over=False) == asked and same_set(latest.stored.documents, documents)
    if same:
        return latest
    if begun.is_over:
        return None
    raise TidingsError(
        f"a backfill of workflow {begun.workflow_id} isn't over; end it first, with the same definitions as it"
        f" began: {command_of(begun)}"
    )


def _refuse_other_edits(versions: list[StoredVersion], documents: list[Json], workflow_id: str) -> None:
    """Refuse a workflow that isn't new, and a folder that changes anything else."""
    for version in versions:
        if any(_is_workflow(document, workflow_id) for document in version.stored.documents):
            raise TidingsError(
                f"workflow {workflow_id} was in force already, in version {version.stored.number}: only one that never"
                " was can be backfilled; give the edited one an id of its own, or `tidings apply` it"
            )
    others = [
        f"  {one.title} is {one.what}"
        for one in differences(versions[-1].stored.documents, documents)
        if (one.kind, one.id, one.what) != ("workflow", workflow_id, "added")
        and not (one.what == "added" and one.kind in COMES_ALONG)
    ]
    if others:
        raise TidingsError(
            f"besides workflow {workflow_id} the folder changes what is in force; `tidings apply` that first, without"
            " the workflow:\n" + "\n".join(others)
        )


def _is_workflow(document: Json, workflow_id: str) -> bool:
    return (kind_of(document) or "workflow") == "workflow" and id_of(document) == workflow_id


def _reaches(connection: Connection, prefix: str) -> dict[int, Reach]:
    reaches = reach_of(connection, prefix, {})
    for number, reach in sorted(reaches.items()):
        if reach.log_start:
            raise TidingsError(
                f"partition {number} of {prefix}{CUSTOMER_LOG} begins at offset {reach.log_start:,}: what came before"
                " is gone, and so is where everybody stood; a backfill needs the whole log (`tidings replay --horizon`)"
            )
    return reaches


# The shadow ---------------------------------------------------------------------------------------------------


def _is_added(document: Json, before: list[Json]) -> bool:
    names = {(kind_of(one) or "workflow", id_of(one)) for one in before}
    return (kind_of(document) or "workflow", id_of(document)) not in names


class _Shadow:
    """The log as it was, and with the workflow in it; versions that come meanwhile are looked up."""

    def __init__(
        self, connection: Connection, prefix: str, versions: list[StoredVersion], own: list[Json], workflow_id: str,
        since: Millis,
    ) -> None:  # fmt: skip
        self._connection, self._prefix, self._own = connection, prefix, own
        self._workflow_id, self._since = workflow_id, since
        self._first_at = versions[0].at
        self._stored = {version.stored.number: version for version in versions}
        self._with_it: dict[int, Catalogue] = {}
        self._catalogues = Catalogues(connection, prefix, definitions_from_documents)
        self._left_out = read_left_out(connection, prefix)
        self.made: Made = {}
        """What each message of the shadow was made of."""
        self.worlds = Backfill(
            self._catalogues.load, self._add, None if since <= self._first_at else since, lag_ms=LAG_MS,
            left_out=self._left_out,
        )  # fmt: skip

    def fold(self, partition: int, partitions: int) -> CustomerFold:
        """Return a fold of a partition as the log has it."""

        async def load(number: int) -> Catalogue:
            return self._catalogues.load(number)

        return CustomerFold(self._prefix, load, partitions, left_out=self._left_out.get(partition))

    def _add(self, number: int, at: Millis) -> Catalogue:
        if number not in self._stored:
            versions = read_versions(self._connection, self._prefix)
            self._stored = {version.stored.number: version for version in versions}
        version = self._stored[number].stored
        earlier = {one: self._with_it.get(one) or self._catalogues.load(one) for one in self._stored if one < number}
        own = [document for document in self._own if _is_added(document, version.documents)]
        try:
            both = definitions_from_documents([*version.documents, *own])
        except TidingsError as error:
            raise TidingsError(
                f"workflow {self._workflow_id} can't have been there in version {number} of the definitions; say a"
                f" --since from which on later ones were in force: {error}"
            ) from None
        compiled = compile_catalogue(
            both, number, earlier, activated_at=at, answers_webhooks=version.answers_webhooks,
            editing=version.editing, backfilled={self._workflow_id: max(self._since, self._first_at)},
        )  # fmt: skip
        compiled.unrecorded.made = self.made
        self._with_it[number] = compiled
        return compiled


def _read(
    connection: Connection, prefix: str, reaches: dict[int, Reach], take: Callable[[LogRecord], None], since: Millis
) -> None:
    total = sum(reach.log_end for reach in reaches.values())
    with folding_shown() as progress:
        for count, record in enumerate(merged_log(connection, prefix, reaches), start=1):
            if count == 1:
                _refuse(refused_since(since, begins_at=record.timestamp))
            take(record)
            if count % TELL_EVERY == 0:
                progress(count, total)
        progress(total, total)


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise TidingsError(reason)


# Telling ------------------------------------------------------------------------------------------------------


def _tell(
    workflow_id: str, standing: Standing, policy: PastSends, fresh_hours: float | None, seconds: float
) -> None:  # fmt: skip
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"As of {format_instant(standing.at)}, of {standing.known:,} customers {standing.touched:,} would be known to"
        f" {workflow_id}, {standing.under_way:,} of them under way; {seconds:.1f} s."
    )
    if standing.by_step:
        table = Table(box=None, pad_edge=False)
        table.add_column("step", overflow="fold")
        table.add_column("stand there", justify="right")
        table.add_column("due within 24 hours", justify="right")
        for step_id, count in sorted(standing.by_step.items()):
            table.add_row(step_id, f"{count:,}", f"{standing.due_soon.get(step_id, 0):,}")
        console.print(table)
    if standing.ended:
        said = ", ".join(f"{reason} {count:,}" for reason, count in sorted(standing.ended.items()))
        console.print(f"Have been through it: {said}.")
    if standing.without_room:
        console.print(
            f"{standing.without_room:,} executions would find no room (`max_concurrent_executions`), and be left out."
        )
    _tell_past(console, standing, policy, 24.0 if fresh_hours is None else fresh_hours)
    _tell_differing(console, standing)
    console.print("Nothing was written.")


def _tell_past(console: Console, standing: Standing, policy: PastSends, fresh_hours: float) -> None:
    console.print(f"It would have sent {len(standing.past):,} messages by then. At the hand-over would be sent:")
    for name in ("skip", "latest", "all"):
        count = len(sent_at_hand_over(standing.past, name, hours(fresh_hours), standing.at))
        within = "" if name == "skip" else f" (of the last {fresh_hours:g} hours)"
        chosen = "  <- as asked" if name == policy else ""
        console.print(f"  --past-sends {name}: {count:,}{within}{chosen}")


def _tell_differing(console: Console, standing: Standing) -> None:
    """Say for whom, and why, it can't be as if the workflow had been there from the beginning."""
    if not standing.differing and not standing.others:
        console.print("For everybody it would be as if it had been there from the beginning.")
        return
    console.print(
        f"For {standing.known - len(standing.differing):,} customers it would be as if it had been there from the"
        f" beginning, for {len(standing.differing):,} not quite:"
    )
    counted = Counter(reason for reasons in standing.differing.values() for reason in reasons)
    for reason, count in sorted(counted.items()):
        console.print(f"  {reason}: {count:,}; {_WHY[reason]}")
    if standing.others:
        kinds = Counter((one.workflow_id, one.kind) for one in standing.others)
        said = ", ".join(f"{workflow} {count:,} {kind}" for (workflow, kind), count in sorted(kinds.items()))
        console.print(f"Messages of other workflows that it would have changed, and that stay as they were: {said}.")


def _lines(standing: Standing) -> bytes:
    lines = [
        {"record": "customer", "customer_id": customer_id, "reasons": reasons}
        for customer_id, reasons in sorted(standing.differing.items())
    ]
    changes = [{"record": "message", **msgspec.to_builtins(one)} for one in (*standing.past, *standing.others)]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in (*lines, *changes))
