"""`tidings replay --definitions DIR`: the log once more under edited definitions, and what would differ."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from agents.left_out import read_left_out
from agents.replaying import Reach
from schemas.editing import Mode
from schemas.errors import TidingsError
from schemas.instants import Millis, format_instant
from schemas.topics import CUSTOMER_LOG
from streams.connection import Connection
from tidings.clock import monotonic_s
from tidings.commands.options import load_valid_folder, refuse_no_snapshot, write_file
from tidings.commands.showing import folding_shown
from tidings.printing import counted
from tidings.usage import WrongUsage
from tidings.what_if_folding import Found, Question, fold, processes_for
from tidings.what_if_report import line, page, rows


def what_if(
    connection: Connection, prefix: str, reaches: dict[int, Reach], folder: Path, *, since: Millis | None,
    until: Millis | None, mode: Mode, processes: int | None, snapshots: Path | None, topic_id: bytes, compare: bool,
    output: Path | None, html: Path | None,
) -> None:  # fmt: skip
    """Fold the whole log under the definitions as they were and as they are in a folder, and tell what differs.

    Raises:
        TidingsError: the log's beginning is gone, nothing was in force, or Kafka doesn't answer.
    """
    if snapshots is not None and since is None:
        raise WrongUsage("--snapshots say where everybody stood: with --definitions, name a --since behind them")
    question = Question(
        connection=connection, prefix=prefix, reaches=reaches, documents=load_valid_folder(folder).documents,
        since=since, until=until, mode=mode, snapshots=snapshots, topic_id=topic_id,
        left_out=read_left_out(connection, prefix),
    )  # fmt: skip
    if snapshots is None:
        _refuse_cut_log(prefix, reaches)
    refuse_no_snapshot(snapshots, len(reaches), topic_id)
    count, why = processes_for(question, processes)
    if why is not None:
        Console(stderr=True, highlight=False, soft_wrap=True).print(why)
    began = monotonic_s()
    with folding_shown() as progress:
        found = fold(question, count, progress)
    changes = found.changes
    console = Console(highlight=False, soft_wrap=True)
    _tell(console, found, since, monotonic_s() - began, compare=compare)
    if snapshots is not None and since is not None:
        console.print(
            f"What was sent before {format_instant(since)} isn't counted: snapshots say where everybody stood."
        )
    write_file(output, lambda: b"".join(map(line, changes)))
    title = f"What if: {folder.resolve().name}" + ("" if since is None else f" since {format_instant(since)}")
    write_file(html, lambda: page(changes, found.sends, title).encode())


def _refuse_cut_log(prefix: str, reaches: dict[int, Reach]) -> None:
    for number, reach in sorted(reaches.items()):
        if reach.log_start:
            raise TidingsError(
                f"partition {number} of {prefix}{CUSTOMER_LOG} begins at offset {reach.log_start:,}: what came before"
                " is gone, and so is where everybody stood: name a folder of snapshots with --snapshots, and a --since"
                " behind them"
            )


def _tell(console: Console, found: Found, since: Millis | None, seconds: float, *, compare: bool) -> None:
    changes = found.changes
    before, after = found.sends
    when = "from the beginning" if since is None else f"since {format_instant(since)}"
    console.print(
        f"{counted(before, 'message')} as recorded, {after:,} under the edited definitions {when}; {seconds:.1f} s."
    )
    uncertain = sum(not change.certain for change in changes)
    if not changes:
        console.print("Nothing differs.")
        return
    counts = {kind: sum(change.kind == kind for change in changes) for kind in ("added", "gone", "moved", "changed")}
    console.print(
        f"{counts['added']:,} added, {counts['gone']:,} gone, {counts['moved']:,} at another time,"
        f" {counts['changed']:,} with other contents."
    )
    if uncertain:
        console.print(
            f"{uncertain:,} of them are uncertain: they rest on opens and clicks that nobody can know, of messages that"
            " didn't go out, or not then."
        )
    if not compare:
        console.print("--compare shows them by workflow, step and reason.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("workflow", "step", "what", "why"):
        table.add_column(name, overflow="fold")
    table.add_column("certain", justify="right")
    table.add_column("uncertain", justify="right")
    for row in rows(changes):
        table.add_row(row.workflow, row.step, row.what, row.why, f"{row.certain:,}", f"{row.uncertain:,}")
    console.print(table)
