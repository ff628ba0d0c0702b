"""`tidings status`: what a person asks first. Is it running, is it keeping up, what is in force, what is stopped."""

from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from agents.standing import read_positions, read_standing
from schemas.instants import format_instant, parse_instant
from schemas.topics import CUSTOMER_LOG
from streams.connection import Connection
from streams.registry import open_schemas
from streams.topics import partition_counts
from tidings.clock import wall_ms
from tidings.commands.catalogue import stored_version
from tidings.commands.processes import data_folder, reached
from tidings.seeing.addresses import read_addresses
from tidings.seeing.report import (
    Crowd,
    InForce,
    Inside,
    Keeping,
    LastDecision,
    Letters,
    Report,
    Seen,
    ask_processes,
    crowd,
    dead_letters,
    in_force,
    inside,
    keeping_up,
    last_decision,
    measured,
    stopped,
)
from tidings.settings import Settings, process_environment, read_settings
from tidings.usage import WrongUsage

CustomersOption = Annotated[
    bool, typer.Option("--customers", help="Count customers and where they stand; reads every customer's state.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]
ProcessOption = Annotated[
    list[str] | None,
    typer.Option("--process", metavar="URL", help="Ask a process on another machine too; may be given several times."),
]
_NEVER: Final = "nothing is in force; run `tidings apply DIR`"
_LABEL_WIDTH: Final = 14
_NOTICED_S: Final = 10.0
"""On a busy machine the ingest is a second or two behind, and nothing is wrong."""
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def status(customers: CustomersOption = False, json: JsonOption = False, process: ProcessOption = None) -> None:
    """Say whether it is running and keeping up, which definitions are in force, and what is stopped.

    Who waits, whose timers are overdue and how clocks differ is known to the workers: those on this machine are asked,
    and those that --process names.
    """
    settings = read_settings(process_environment())
    _check_urls(process or [])
    console = Console(highlight=False, soft_wrap=True)
    connection, prefix = reached(settings), settings.topic_prefix
    if not partition_counts(connection, [prefix + CUSTOMER_LOG]):
        if json:
            typer.echo(msgspec.json.encode({"kafka": connection.bootstrap_servers, "prefix": prefix, "topics": False}))
            return
        console.print(f"Kafka    {connection.bootstrap_servers}, topics {prefix}…")
        console.print("Topics   not there yet; `tidings up`, `worker`, `ingest` and `apply` make them")
        console.print("Nothing has ever run under this prefix: `tidings up` starts everything.")
        return
    report = find(settings, connection, process or [], customers=customers)
    if json:
        typer.echo(msgspec.json.encode(report))
        return
    for label, words in as_lines(report):
        console.print(f"{label:<{_LABEL_WIDTH}}{words}", markup=False)
    for sentence in what_to_do(report):
        console.print(Text(sentence, "bold"))


def find(settings: Settings, connection: Connection, urls: list[str], *, customers: bool) -> Report:
    """Ask Kafka, and the processes that can be found.

    Raises:
        TidingsError: Kafka doesn't answer any more.
        confluent_kafka.KafkaException: likewise.
    """
    prefix = settings.topic_prefix
    processes = ask_processes(read_addresses(data_folder(settings), prefix), urls)
    samples = measured(processes)
    standing = read_standing(connection, prefix) if customers else None
    positions = read_positions(connection, prefix) if standing is None else standing.positions
    partitions = partition_counts(connection, [prefix + CUSTOMER_LOG])[prefix + CUSTOMER_LOG]
    ingest, worker = keeping_up(connection, prefix, samples)
    return Report(
        kafka=connection.bootstrap_servers,
        prefix=prefix,
        at=format_instant(wall_ms()),
        processes=processes,
        ingest=ingest,
        worker=worker,
        definitions=in_force(stored_version(connection, prefix), positions, partitions),
        stopped=stopped([position.holds for position in positions.values()]),
        stopped_differs=len({position.holds for position in positions.values()}) > 1,
        last_decision=last_decision(
            connection, prefix, open_schemas(settings.schema_registry_url, connection, wall_ms).schema
        ),
        dead_letters=dead_letters(connection, prefix),
        inside=inside(samples),
        customers=None if standing is None else crowd(standing),
    )


def as_lines(report: Report) -> list[tuple[str, str]]:
    """Lay a report out for a person: a label and words on each line."""
    lines = [("Kafka", f"{report.kafka}, topics {report.prefix}…")]
    lines += [("" if number else "Processes", _process(one)) for number, one in enumerate(report.processes)]
    lines += [
        ("Ingest", keeping_in_words(report.ingest, "taken in")),
        ("Worker", keeping_in_words(report.worker, "decided")),
        ("Definitions", definitions_in_words(report.definitions)),
        ("Stopped", stopped_in_words(report)),
        ("Decisions", decision_in_words(report.last_decision, report.at)),
        *inside_in_words(report.inside).items(),
        ("Dead letters", letters_in_words(report.dead_letters)),
    ]
    return lines if report.customers is None else lines + customers_in_words(report.customers)


def what_to_do(report: Report) -> list[str]:
    """Say in sentences what a person should look at."""
    told = []
    if not report.ingest.processes and not report.worker.processes:
        told.append("Nothing is running: `tidings up` starts everything.")
    elif not report.worker.processes:
        told.append("No worker is running, so nothing is decided: start `tidings worker`, or `tidings up`.")
    elif not report.ingest.processes:
        told.append("No ingest is running, so no event comes in and no timer fires: start `tidings ingest`.")
    begun = None if report.definitions is None else report.definitions.open_backfill
    if begun is not None:
        told.append(f"A backfill isn't over, and until it is no definitions can be applied: {begun}")
    inside = report.inside
    if inside is not None and inside.timers_overdue:
        told.append(f"{_customers(inside.timers_overdue)} waited over a minute for what was due; is a worker missing?")
    return told


def keeping_in_words(keeping: Keeping, what: str) -> str:
    """Say it: "2 running, all decided"; "none running, 1,200 records not decided yet"."""
    running = f"{keeping.processes} running" if keeping.processes else "none running"
    if not keeping.behind:
        return f"{running}, all {what}"
    waited = keeping.oldest_seconds
    oldest = "" if waited is None else f", the oldest for {duration_in_words(waited)}"
    return f"{running}, {keeping.behind:,} records not {what} yet{oldest}"


def definitions_in_words(found: InForce | None) -> str:
    """Say which version is in force since when, what it holds, and which partitions haven't come to it yet."""
    if found is None:
        return _NEVER
    told = f"version {found.version} since {found.since} ({found.mode}): {', '.join(found.workflows) or 'no workflows'}"
    waiting = found.partitions_waiting
    return told + (f"; {waiting} partitions haven't come to it yet" if waiting else "")


def stopped_in_words(report: Report) -> str:
    """Say what `tidings pause` has stopped, and where partitions differ because a worker hasn't read it yet."""
    told = " / ".join(report.stopped) or "nothing"
    return f"{told} (partitions differ: not all have read the command yet)" if report.stopped_differs else told


def decision_in_words(last: LastDecision | None, now: str) -> str:
    """Say how long ago the last decision was made, and what it was."""
    if last is None:
        return "none yet"
    ago_s = (parse_instant(now) - parse_instant(last.at)) / 1000
    when = f"{duration_in_words(ago_s)} ago" if ago_s >= 0 else f"at {last.at}"
    reason = f", {last.reason}" if last.reason else ""
    where = f" in {last.workflow_id}" if last.workflow_id else ""
    return f"the last {when}: {last.kind}{reason}{where}"


def inside_in_words(found: Inside | None) -> dict[str, str]:
    """Say what workers know, by label."""
    if found is None:
        return {"Timers": "not known: no worker could be asked; --process names one on another machine"}
    late = f"{found.timers_overdue:,} of them overdue" if found.timers_overdue else "none overdue"
    behind = found.time_behind_seconds
    told = {"Timers": f"{_customers(found.timers_due)} with something due at some time, {late}"}
    if behind is not None and behind >= _NOTICED_S:
        told["Timers"] += f"; they fire {duration_in_words(behind)} late, until the ingest has read further"
    ahead = found.clock_ahead_seconds
    if ahead is not None:
        side = "ahead of" if ahead > 0 else "behind"
        told["Clock"] = (
            "that of Kafka" if not ahead else f"{abs(ahead):.1f} s {side} Kafka's; beyond 2 s no timer fires"
        )
    told["Waiting"] = (
        f"{_customers(found.customers_held)} wait for a merge or a place, with {found.records_held:,} records"
        if found.customers_held
        else "nobody"
    )
    if found.customers_quarantined:
        told["Quarantined"] = (
            f"{_customers(found.customers_quarantined)}, for whom the rules raised; `tidings dead-letters list --class"
            " rules` says where, `retry` releases them"
        )
    return told


def letters_in_words(letters: Letters) -> str:
    """Say how many records were no events."""
    if not letters.kept:
        return "none"
    count = "1 record couldn't be taken" if letters.kept == 1 else f"{letters.kept:,} records couldn't be taken"
    return f"{count}, the last published at {letters.last_at}; `tidings dead-letters list` says why"


def customers_in_words(found: Crowd) -> list[tuple[str, str]]:
    """Say how many customers are known, and how many stand in each step."""
    paused = [("Paused", f"{found.executions_paused:,} executions, one by one")] if found.executions_paused else []
    places = [("", f"{count:,} in {place}") for place, count in found.by_step.items()]
    return [("Customers", f"{found.known:,} known"), *paused, *places]


def duration_in_words(seconds: float) -> str:
    """Say a duration as a person would: "12 s", "5 min", "3 h", "2 days"."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s" if seconds >= 1 else "less than a second"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.0f} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.0f} days"


def _process(one: Seen) -> str:
    if one.health is None:
        state = "doesn't answer"
    else:
        state = "ready" if one.health.ok else f"not ready: {'; '.join(one.health.reasons)}"
    pid = "" if one.pid is None else f" (pid {one.pid})"
    return f"{one.name}{pid}, {one.url}: {state}"


def _customers(count: int) -> str:
    return "1 customer" if count == 1 else f"{count:,} customers"


def _check_urls(urls: list[str]) -> None:
    for url in urls:
        if not url.startswith("http://"):
            msg = f"--process {url}: an address begins with http://, as the process says it when it starts"
            raise WrongUsage(msg)
