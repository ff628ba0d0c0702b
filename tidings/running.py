"""`run`: a file of events through Kafka, in the clock of its own log, to the records that `simulate` gives.

Topics of its own under a prefix; one ingest and some workers as supervised processes; the definitions as version
1 with its marks; the events, their end marks, the final marks; and when the workers' group stands behind the
final marks everywhere, the records are read back. Every step waits for a Kafka that went away, up to a limit.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from msgspec import Struct

from agents.catalogues import publish_catalogue
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import Millis
from schemas.topics import CUSTOMER_LOG, PUBLIC_TOPICS, topics
from schemas.wire import SchemaOf
from streams.connection import Connection
from streams.topics import admin_client, committed_offsets, delete_topics, end_offsets, ensure_topics
from tidings.clock import fresh_bytes, monotonic_s, pause
from tidings.event_file import holds_answers, read_lines
from tidings.processes import INGEST_GROUP, WORKER_GROUP
from tidings.publishing import Public, publish_file
from tidings.supervisor import Ended, Restarted, RestartPolicy, Supervisor
from tidings.tally import Tally

KAFKA_PATIENCE_S: Final = 900.0
"""How long a run waits for a Kafka that went away."""
_LOOK_EVERY_S: Final = 0.1
_MOST_RESTARTS: Final = 20
_WINDOW_S: Final = 60.0
"""Within a minute, while Kafka answers; more is no passing fault."""


class Watcher(Struct, kw_only=True):
    """What a run tells while it goes on; every field is a function that is called with what is new."""

    published: Callable[[int], object]
    ingested: Callable[[int, int], object]
    decided: Callable[[int, int], object]
    said: Callable[[str], object]


class RunPlan(Struct, frozen=True, kw_only=True):
    """What to run, and how."""

    connection: Connection
    prefix: str
    documents: list[Json]
    events: Path
    until: Millis | None
    max_jump_ms: Millis
    partitions: int
    public_partitions: int
    workers: int
    folder: Path
    """For logs and for what the processes keep on disk; it is this run's alone."""
    environment: Mapping[str, str]
    """What the processes are started with."""
    program: Path
    """The program `tidings`."""
    schema_of: SchemaOf
    """Where the schemas are by which it is read back."""
    lost_kafka: Callable[[], str | None] = lambda: None
    """Says what became of a local Kafka that ended without being asked, and what to do; None where none has."""


class RunStopped(TidingsError):
    """The run can't go on."""


def fresh_prefix() -> str:
    """Return a prefix that no other run has."""
    return f"run-{fresh_bytes(4).hex()}."


def run(plan: RunPlan, watcher: Watcher) -> Tally:
    """Run the events through Kafka until everything is decided; `collect` reads the records then.

    The prefix must not be in use: see `refuse_taken_prefix`.

    Raises:
        TidingsError: what can't be helped; the processes are stopped, the topics are still there.
    """
    ensure_topics(plan.connection, topics(plan.prefix, plan.partitions, plan.public_partitions, "log"))
    first = next((line.clock for line in read_lines(plan.events, plan.max_jump_ms) if line.event is not None), 0)
    publish_catalogue(
        plan.connection,
        plan.prefix,
        plan.documents,
        number=1,
        at=first,
        answers_webhooks=not holds_answers(plan.events),
    )
    with Supervisor(plan.folder / "log", policy=RestartPolicy(most_restarts=100_000)) as supervisor:
        crew = Crew(plan, supervisor, watcher)
        crew.start()
        public = Public(
            connection=plan.connection,
            prefix=plan.prefix,
            public_partitions=plan.public_partitions,
            partitions=plan.partitions,
            patience_s=KAFKA_PATIENCE_S,
        )

        def published(lines: int) -> None:
            crew.look_after()
            watcher.published(lines)

        tally = publish_file(public, plan.events, until=plan.until, max_jump_ms=plan.max_jump_ms, progress=published)
        crew.wait_for(_ingested(plan), watcher.ingested)
        crew.wait_for(_decided(plan), watcher.decided)
    return tally


def remove_topics(plan: RunPlan) -> None:
    """Delete the run's topics and groups."""
    delete_topics(plan.connection, topic_names(plan))
    groups = admin_client(plan.connection).delete_consumer_groups(
        [plan.prefix + INGEST_GROUP, plan.prefix + WORKER_GROUP]
    )
    for deleted in groups.values():
        # A group that was never formed, or whose last member's session is still open, expires by itself.
        deleted.exception()


def remove_folder(plan: RunPlan) -> None:
    """Delete the run's logs and what its processes kept on disk; after a failure they are worth reading."""
    shutil.rmtree(plan.folder, ignore_errors=True)


def topic_names(plan: RunPlan) -> list[str]:
    """Return the names of the run's topics."""
    return [spec.name for spec in topics(plan.prefix, plan.partitions, plan.public_partitions, "log")]


def refuse_taken_prefix(connection: Connection, prefix: str) -> None:
    """Make sure that the topics under a prefix will be this run's own: at its end it deletes them.

    Raises:
        RunStopped: there are some already.
    """
    existing = admin_client(connection).list_topics(timeout=20).topics
    taken = sorted(name for name in existing if name.startswith(prefix))
    if taken:
        msg = (
            f"topics with the prefix {prefix} exist already ({taken[0]}, …): a run needs a prefix of its own;"
            " leave --prefix out, or name another"
        )
        raise RunStopped(msg)


Measure = Callable[[], Iterator[tuple[int, int]]]


def _ingested(plan: RunPlan) -> Measure:
    """Measure (done, all) for every public topic: the ingest's group against the ends."""

    def measure() -> Iterator[tuple[int, int]]:
        for name in PUBLIC_TOPICS:
            yield _progress(plan, plan.prefix + INGEST_GROUP, plan.prefix + name)

    return measure


def _decided(plan: RunPlan) -> Measure:
    """Measure (done, all) for the customer log: the workers' group against the end."""

    def measure() -> Iterator[tuple[int, int]]:
        yield _progress(plan, plan.prefix + WORKER_GROUP, plan.prefix + CUSTOMER_LOG)

    return measure


def _progress(plan: RunPlan, group: str, topic: str) -> tuple[int, int]:
    # In this order: what was written by the time of a commit is then counted, so that no answer on its way from one
    # partition of the log to another is overlooked.
    done = committed_offsets(plan.connection, group, topic)
    ends = end_offsets(plan.connection, topic)
    return sum(min(done.get(partition, 0), end) for partition, end in ends.items()), sum(ends.values())


class Crew:
    """The run's processes, and what becomes of the run when they or Kafka stop."""

    def __init__(self, plan: RunPlan, supervisor: Supervisor, watcher: Watcher) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._watcher = watcher
        self._stops: list[float] = []
        self._away_since: float | None = None
        self._is_loss_told = False

    def start(self) -> None:
        """Start the ingest and the workers."""
        plan = self._plan
        self._spawn("ingest", "ingest")
        for number in range(plan.workers):
            self._spawn(f"worker-{number}", "worker")

    def _spawn(self, name: str, command: str) -> None:
        plan = self._plan
        argv = [str(plan.program), command, "--clock", "log", "--folder", str(plan.folder / name)]
        self._supervisor.start(name, argv, environment=plan.environment)

    def wait_for(self, measure: Measure, report: Callable[[int, int], object]) -> None:
        """Wait until everything measured is done."""
        while True:
            self.look_after()
            try:
                parts = list(measure())
            except KafkaException:
                self._kafka_is_away()
                parts = []
            else:
                self._kafka_answers()
            if parts:
                done, total = sum(part[0] for part in parts), sum(part[1] for part in parts)
                report(done, total)
                if done >= total:
                    return
            pause(_LOOK_EVERY_S)

    def look_after(self) -> None:
        """Notice processes that ended; give up when they do so again and again although Kafka answers."""
        for change in self._supervisor.poll():
            match change:
                case Ended(next="restart"):
                    self._watcher.said(f"{change.name} stopped ({change.cause}); it is started again")
                    self._count_stop(change)
                case Ended():
                    raise RunStopped(f"{change.name} ended ({change.cause}): {_last_words(change.log_file)}")
                case Restarted():
                    pass

    def _count_stop(self, ended: Ended) -> None:
        now = monotonic_s()
        self._stops = [stop for stop in self._stops if now - stop < _WINDOW_S]
        if self._away_since is None:
            self._stops.append(now)
        if len(self._stops) > _MOST_RESTARTS and self._kafka_responds():
            raise RunStopped(f"{ended.name} stops again and again ({ended.cause}): {_last_words(ended.log_file)}")

    def _kafka_responds(self) -> bool:
        try:
            admin_client(self._plan.connection).list_topics(timeout=5)
        except KafkaException:
            self._kafka_is_away()
            return False
        return True

    def _kafka_is_away(self) -> None:
        now = monotonic_s()
        if self._away_since is None:
            self._away_since = now
            self._stops.clear()
            self._watcher.said(f"Kafka doesn't answer at {self._plan.connection.bootstrap_servers}; waiting for it")
        # It may take its time to end, as with a disk that is full.
        if not self._is_loss_told and (loss := self._plan.lost_kafka()) is not None:
            self._is_loss_told = True
            self._watcher.said(loss)
        if now - self._away_since > KAFKA_PATIENCE_S:
            msg = f"Kafka hasn't answered for {KAFKA_PATIENCE_S / 60:.0f} minutes; start it, and run again"
            raise RunStopped(msg)

    def _kafka_answers(self) -> None:
        if self._away_since is not None:
            self._away_since, self._is_loss_told = None, False
            self._watcher.said("Kafka answers again; going on")


def _last_words(log_file: Path) -> str:
    try:
        lines = log_file.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return f"{lines[-1] if lines else 'it said nothing'} (log: {log_file})"
