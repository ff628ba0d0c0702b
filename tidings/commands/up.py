"""`tidings up`: Kafka, an ingest and workers, with one command and one stop."""

import fcntl
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from schemas.errors import TidingsError
from schemas.log import Clock
from streams.connection import Connection
from streams.vitals import Vitals
from tidings import processes
from tidings.clock import pause, wall_ms
from tidings.commands.catalogue import YesOption, apply, stored_version
from tidings.commands.options import load_valid_folder
from tidings.commands.processes import (
    ClockOption,
    LogFormatOption,
    MetricsPortOption,
    data_folder,
    settings_of_process,
)
from tidings.seeing.addresses import Address
from tidings.seeing.endpoint import Views, open_endpoint
from tidings.seeing.health import Health
from tidings.seeing.lag import KafkaWatch
from tidings.seeing.showing import announced
from tidings.services import kafka
from tidings.services.borrowed import borrow_kafka
from tidings.services.errors import ServiceError
from tidings.services.kafka_files import kafka_data
from tidings.services.ports import port_is_free
from tidings.services.reach import require_kafka
from tidings.settings import Settings, process_environment
from tidings.supervisor import Supervisor
from tidings.upkeep import PATIENCE_S, POLICY, Post, Upkeep
from tidings.usage import WrongUsage

log = logging.getLogger("tidings.up")

LOOK_EVERY_S: Final = 0.1
_LAST_PORT: Final = 65_535

WorkersOption = Annotated[int, typer.Option("--workers", min=1, max=64, help="Worker processes.")]
DefinitionsOption = Annotated[
    Path | None,
    typer.Option("--definitions", metavar="DIR", help="Put this folder in force first, as `tidings apply` does."),
]


def up(
    workers: WorkersOption = 1,
    definitions: DefinitionsOption = None,
    yes: YesOption = False,
    clock: ClockOption = "wall",
    metrics_port: MetricsPortOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Run everything until Ctrl-C or SIGTERM: Kafka, an ingest and workers, which are started again when they stop.

    Kafka is the one that KAFKA_BOOTSTRAP_SERVERS names, or else a local one that is started and stopped with the rest.
    The first Ctrl-C lets everybody finish what is under way, a second one stops at once. With --metrics-port P, `up`
    itself answers at P, the ingest at P+1, the workers behind it.
    """
    settings = settings_of_process(metrics_port, log_format)
    ports = ports_of(settings.metrics_port, workers + 2)
    if definitions is not None:
        load_valid_folder(definitions)
    data, prefix = data_folder(settings), settings.topic_prefix
    folder = data / "up" / (prefix.rstrip(".") or "without-prefix")
    with ExitStack() as stack:
        stack.enter_context(_only_one(folder, prefix))
        connection = stack.enter_context(borrow_kafka(settings)).connection
        require_kafka(connection)
        processes.make_topics(connection, prefix, settings.partitions, clock)
        watch = KafkaWatch(connection, (), Vitals(), wall_ms, is_live=True)
        supervisor = stack.enter_context(Supervisor(_fresh_logs(folder), policy=POLICY, patience_s=PATIENCE_S))
        upkeep = Upkeep(
            _posts(settings, connection, folder, clock, workers, ports),
            supervisor,
            data=data,
            prefix=prefix,
            kafka_is_away=lambda: watch.is_away,
            revive_kafka=_reviver(settings),
        )
        url = stack.enter_context(_endpoint(settings, data, ports[0], upkeep))
        if definitions is not None:
            apply(definitions, yes=yes)
        watch.start()
        _introduce(settings, connection, folder, url, definitions)
        upkeep.start()
        _look_until_stopped(upkeep, supervisor)


def _look_until_stopped(upkeep: Upkeep, supervisor: Supervisor) -> None:
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    while not asked:
        upkeep.look()
        pause(LOOK_EVERY_S)
    log.info("stopping: what is under way is finished (%.0f s at most); Ctrl-C again stops at once", PATIENCE_S)
    killed = supervisor.stop(hurry=lambda: len(asked) > 1)
    if killed:
        log.warning("killed: %s; they recover at the next start", ", ".join(killed))
        raise typer.Exit(1)
    log.info("stopped")


def _posts(
    settings: Settings, connection: Connection, folder: Path, clock: Clock, workers: int, ports: list[str]
) -> list[Post]:
    program = str(Path(sys.executable).parent / "tidings")
    names = ["ingest", *(f"worker-{number}" for number in range(workers))]
    base: Mapping[str, str] = {
        **process_environment(),
        "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap_servers,
        "TIDINGS_DATA_DIR": str(data_folder(settings)),
        "TIDINGS_LOG_FORMAT": settings.log_format,
    }
    return [
        Post(
            name=name,
            argv=[program, name.partition("-")[0], "--clock", clock, "--folder", str(folder / name)],
            environment={**base, "TIDINGS_METRICS_PORT": port},
        )
        for name, port in zip(names, ports[1:], strict=True)
    ]


def ports_of(first: int | None, count: int) -> list[str]:
    """Return the ports of everybody: the first and those behind it, or free ones.

    Raises:
        TidingsError: there are none, one is taken, or they would go beyond the last.
    """
    if first is None:
        msg = "up asks its processes how they are, so they need ports; leave --metrics-port out for free ones"
        raise WrongUsage(msg)
    if first + count - 1 > _LAST_PORT:
        msg = f"--metrics-port {first}: {count} ports from there go beyond {_LAST_PORT}"
        raise WrongUsage(msg)
    ports = [first + number if first else 0 for number in range(count)]
    if taken := [port for port in ports if port and not port_is_free(port)]:
        msg = f"--metrics-port {first}: port {taken[0]} is taken, of the {count} that are needed from there on"
        raise TidingsError(msg)
    return list(map(str, ports))


def _reviver(settings: Settings) -> Callable[[], None]:
    """Return what starts a local Kafka again that ended without being asked."""

    def revive() -> None:
        if settings.bootstrap_servers is not None:
            return
        seen = kafka.status(kafka_data(settings.data_dir))
        if seen.state not in {"died", "stopped"}:
            return
        log.warning("the local Kafka isn't running any more; it is started again. %s", seen.reason)
        try:
            kafka.start(kafka_data(settings.data_dir), java_home=settings.java_home)
        except ServiceError as error:
            raise TidingsError(f"the local Kafka can't be started again: {error}") from None

    return revive


@contextmanager
def _endpoint(settings: Settings, data: Path, port: str, upkeep: Upkeep) -> Iterator[str]:
    well = Health(ok=True, state="working", reasons=[])
    views = Views(registry=upkeep.registry, live=lambda: well, ready=upkeep.health)
    url = open_endpoint(settings.metrics_host, int(port), views)
    with announced(data, Address(name="up", pid=0, url=url, prefix=settings.topic_prefix, started_at=0)):
        yield url


@contextmanager
def _only_one(folder: Path, prefix: str) -> Iterator[None]:
    """Make sure that no other `up` has these processes.

    Raises:
        TidingsError: one has, or the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        msg = f"{folder} can't be written ({(error.strerror or str(error)).lower()}); see TIDINGS_DATA_DIR"
        raise TidingsError(msg) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            msg = (
                f"`tidings up` already runs here for the topics {prefix}…; see `tidings status`.\n"
                "Another prefix (TIDINGS_TOPIC_PREFIX) or folder (TIDINGS_DATA_DIR) has processes of its own"
            )
            raise TidingsError(msg) from None
        yield


def _fresh_logs(folder: Path) -> Path:
    """Return the folder of logs; those of the last time are kept beside the new ones."""
    logs = folder / "log"
    logs.mkdir(exist_ok=True)
    for file in logs.glob("*.log"):
        file.replace(file.with_suffix(".log.1"))
    return logs


def _introduce(settings: Settings, connection: Connection, folder: Path, url: str, definitions: Path | None) -> None:
    prefix, local = settings.topic_prefix, settings.bootstrap_servers is None
    # What was applied a moment ago is committed, but may not be readable yet.
    version = None if definitions is not None else stored_version(connection, prefix)
    in_force = "nothing is in force yet" if version is None else f"version {version.stored.number} is in force"
    if definitions is not None:
        in_force = f"those in {definitions} are in force"
    if settings.log_format == "json":
        log.info("Kafka at %s, topics %s, %s", connection.bootstrap_servers, prefix, in_force)
        log.info("metrics and readiness of all at %s, logs in %s", url, folder / "log")
        return
    typer.echo(
        f"Kafka        {connection.bootstrap_servers}{' (local)' if local else ''}, topics {prefix}…\n"
        f"Definitions  {in_force}\n"
        f"Logs         {folder / 'log'}/*.log\n"
        f"Metrics      {url}/metrics, {url}/ready; `tidings status` says where each process has its own\n"
        "\n"
        "In another terminal:\n"
        "  tidings apply DIR     put a folder of definitions in force\n"
        '  tidings publish \'{"customer_id": "ada", "type": "signup", "source": "website",'
        ' "properties": {"email": "ada@garden.example"}}\'\n'
        "  tidings status        how it goes\n"
        "Ctrl-C stops everything.\n"
    )
