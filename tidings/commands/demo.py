"""`tidings demo`: real purchases through Kafka become messages, with reasons, and a report that a person reads."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.definitions import Definitions
from tidings.clock import monotonic_s
from tidings.collecting import collect
from tidings.commands.options import ValidFolder, load_valid_folder, record_file
from tidings.commands.run import DEFAULT_PARTITIONS, clean_up, plan_run, progress_shown
from tidings.demo.events import write_events
from tidings.demo.findings import Findings
from tidings.demo.purchases import read_purchases
from tidings.demo.report import Closing, Pace, show
from tidings.demo.story import Story, lines_of, tell
from tidings.event_file import DEFAULT_MAX_JUMP_DAYS
from tidings.printing import counted
from tidings.running import RunPlan, Watcher, fresh_prefix, remove_folder, run
from tidings.services.borrowed import borrow_kafka
from tidings.services.kafka_files import CHECKOUT, kafka_data
from tidings.settings import Settings, process_environment, read_settings
from tidings.tally import Tally

DEFAULT_WORKERS: Final = 2
_PURCHASES: Final = CHECKOUT / ".cache" / "cdnow" / "CDNOW_master.txt"
_SHOP: Final = CHECKOUT / "examples" / "shop"
_WIDTH_ELSEWHERE: Final = 110
"""Columns where there is no terminal to say how many it has."""
_INTERRUPTED: Final = 130


class _Demo(Struct, frozen=True, kw_only=True):
    """What was asked for; paths as they are shown."""

    data: Path
    customers: int | None
    folder: Path
    events: Path
    records: Path
    partitions: int
    workers: int
    keep: bool


def demo(
    customers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N customers. Default: all 23,570.")
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=256, help="Partitions of the customer log.")
    ] = DEFAULT_PARTITIONS,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = DEFAULT_WORKERS,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the topics (and a local Kafka) for you to look at.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where the records go. Default: .tidings/demo.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="The purchases. Default: those that `make setup` fetched."),
    ] = None,
) -> None:
    """Real purchases of 1997 and 1998 through Kafka become messages, with reasons."""
    settings = read_settings(process_environment())
    folder = _shown(kafka_data(settings.data_dir).parent / "demo")
    asked = _Demo(
        data=data or _shown(_PURCHASES),
        customers=customers,
        folder=_shown(_SHOP),
        events=folder / "events.ndjson",
        records=output or folder / "records.ndjson",
        partitions=partitions,
        workers=workers,
        keep=keep,
    )
    status = _console(sys.stderr)
    try:
        valid = load_valid_folder(asked.folder)
        _prepare(asked, status)
        findings, closing = _through_kafka(asked, valid, settings, status)
    except KeyboardInterrupt:
        status.print("Stopped. `tidings demo` begins anew.")
        raise typer.Exit(_INTERRUPTED) from None
    try:
        show(_console(sys.stdout), valid.definitions, findings, closing)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has seen enough; Python would complain once more when it closes standard output.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 -- stays open until the process ends


def _prepare(asked: _Demo, status: Console) -> None:
    purchases = read_purchases(asked.data, asked.customers)
    people = len({purchase.customer for purchase in purchases})
    first, last = min(purchase.day for purchase in purchases), max(purchase.day for purchase in purchases)
    status.print(
        f"{counted(len(purchases), 'real purchase')} by {counted(people, 'customer')} of a shop for CDs,"
        f" {first:%B %Y} to {last:%B %Y}."
        " Names, addresses and times of day are made up.",
        soft_wrap=True,
    )
    with _bar(status, "prepared") as report:
        write_events(asked.events, purchases, report)


def _through_kafka(asked: _Demo, valid: ValidFolder, settings: Settings, status: Console) -> tuple[Findings, Closing]:
    began, pace, findings = monotonic_s(), Pace(), Findings()
    with record_file(asked.records, asked.events) as file, borrow_kafka(settings) as kafka:
        kafka.keep = asked.keep
        plan = plan_run(
            settings, kafka.connection, valid, asked.events,
            until=None, max_jump_days=DEFAULT_MAX_JUMP_DAYS, partitions=asked.partitions,
            public_partitions=asked.partitions, workers=asked.workers, prefix=fresh_prefix(),
        )  # fmt: skip
        pace.kafka_s = monotonic_s() - began
        try:
            tally = _run(plan, pace, status)
            reading_from = monotonic_s()
            with _bar(status, "read back") as report:
                for record in collect(plan.connection, plan.prefix, tally, plan.schema_of, report):
                    file.write(record)
                    findings.take(record)
            pace.reading_s = monotonic_s() - reading_from
        finally:
            clean_up(status, plan, keep=asked.keep)
        if not asked.keep:
            remove_folder(plan)
    story = _story(asked, findings, valid.definitions)
    return findings, Closing(
        tally=tally, pace=pace, workers=asked.workers, partitions=asked.partitions,
        program=_program(), folder=asked.folder, events=asked.events, records=asked.records, story=story,
    )  # fmt: skip


def _run(plan: RunPlan, pace: Pace, status: Console) -> Tally:
    """Run, and measure from the first event published to the last decision committed."""
    began: list[float] = []
    with progress_shown(status) as shown:

        def published(lines: int) -> None:
            if not began:
                began.append(monotonic_s())
            shown.published(lines)

        def decided(done: int, total: int) -> None:
            shown.decided(done, total)
            pace.stream_s = monotonic_s() - began[0]

        return run(plan, Watcher(published=published, ingested=shown.ingested, decided=decided, said=shown.said))


def _story(asked: _Demo, findings: Findings, definitions: Definitions) -> Story | None:
    customer = findings.most_eventful()
    if customer is None:
        return None
    events, records = lines_of(asked.events, customer), lines_of(asked.records, customer)
    return tell(customer, events, records, definitions.workflows)


@contextmanager
def _bar(status: Console, what: str) -> Iterator[Callable[[int, int], object]]:
    """Show a bar like those of a run; yield what is called with how many are done, of how many."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=status) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _console(file: TextIO) -> Console:
    if isinstance(file, TextIOWrapper):
        # A terminal that knows no UTF-8 shows question marks for the bars, and the rest.
        file.reconfigure(errors="replace")
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_ELSEWHERE
    return console


def _program() -> str:
    """Return what to type for this program, here."""
    return "tidings" if shutil.which("tidings") else str(_shown(Path(sys.argv[0]).absolute()))


def _shown(path: Path) -> Path:
    """Return a path as a person here would type it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
