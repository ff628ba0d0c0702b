"""One experiment: a seed's traffic through real processes, a seed's faults in the midst of it, and what came of it.

Lines are published at a steady pace by a thread, up to the end of the stretch of the fault that is under way, so that
each fault falls into traffic. In the end a stranger who reads committed records only says what is there, and
`simulate` what should be.
"""

import itertools
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from agents.catalogues import publish_catalogue
from agents.ingest import RECORDS_PER_APPEND
from schemas.instants import parse_instant
from schemas.log import SEQUENCE, pack_number
from schemas.quarantines import HELD_TOO_MANY, RULES
from schemas.topics import schemas_topic, topics
from streams.connection import Connection
from streams.topics import committed_offsets, end_offsets, ensure_topics
from tests.defective import DEFECT
from tests.faults.cluster import Cluster
from tests.faults.schedule import LINES_PER_FAULT, Fault
from tests.faults.world import traffic
from tests.kafka.foreign_producer import publish_ends
from tests.kafka.processes import TOPIC_OF
from tests.kafka.runs import PUBLIC, Record, committed_messages, environment, read_by_a_stranger, simulated
from tidings.clock import monotonic_s, pause
from tidings.event_file import Line, read_lines
from tidings.supervisor import Ended, RestartPolicy, Supervisor

PREFIX: Final = "faults."
PARTITIONS, WORKERS = 4, 2
LINES_PER_S: Final = 1_000
OPEN_WITHIN_S: Final = 15.0
SLICES_S: Final = (0.05, 0.1, 0.2, 0.4)
"""How long the workers run between two looks: a look alone would leave them no time to begin anything."""
MENDED_WITHIN_S: Final = 240.0
COMPARED_WITHIN_S: Final = 1_800.0
"""Where the rules raise, `simulate` begins again each time."""
TOO_FEW_BYTES: Final = "100"
SHOWN: Final = 5
BEHIND: Final = 100
"""Lines between the one behind which a fault comes and the one on which the rules raise."""
DEFECTIVE: Final = (sys.executable, "-m", "tests.defective")
POISON: Final = b"\xff\xfepoison "


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A fault as it happened; positions are offsets of the customer log that are decided, summed."""

    fault: Fault
    at_s: float
    """Since the experiment began, in seconds."""
    before: int
    after: int
    transaction_open: bool
    mended_s: float
    """Until the workers had got further again, in seconds."""
    skipped: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the stranger found beside what `simulate` says."""

    records: int
    missing: int
    doubled: int
    different: int
    poison_lost: int
    poison_doubled: int
    raised_lost: int
    """Of the records on which the rules raised, those that are no dead letter."""
    raised_doubled: int
    for_example: list[str] = []
    """Some of what is different."""

    @property
    def is_right(self) -> bool:
        """Say whether nothing is missing, doubled or different."""
        wrong = (self.missing, self.doubled, self.different, self.poison_lost, self.poison_doubled)
        return not any((*wrong, self.raised_lost, self.raised_doubled))


class Laboratory:
    """The processes under test, and hands to disturb them."""

    def __init__(self, cluster: Cluster, folder: Path, seed: int, faults: list[Fault]) -> None:
        """Write the world and make its topics."""
        self._cluster, self._folder, self._faults = cluster, folder, faults
        self._bootstrap = cluster.bootstrap_servers
        self._connection = Connection(bootstrap_servers=self._bootstrap)
        # Right behind where the fault strikes, so that it falls into what it does.
        defects = [fault.line + BEHIND for fault in faults if fault.kind == "rules_raise"]
        self._raising = len(defects)
        self._world = traffic(folder / "world", seed, LINES_PER_FAULT * len(faults), defects)
        self._lines = list(read_lines(self._world.events))
        self._supervisor = Supervisor(folder / "processes", policy=RestartPolicy(most_restarts=100_000))
        self._allowed = self._published = 0
        self._ended = threading.Event()
        self._poisoned = 0
        self._began = monotonic_s()
        specs = topics(PREFIX, PARTITIONS, 1, "log")
        # Put back exactly: no process starts on topics that are set otherwise.
        self._decisions_most_bytes = next(
            dict(spec.config)["max.message.bytes"] for spec in specs if spec.name == f"{PREFIX}decisions"
        )
        ensure_topics(self._connection, (*specs, schemas_topic()))

    def run(self, told: Callable[[Outcome], object]) -> Verdict:
        """Go through all faults, telling each as it is over, and compare."""
        documents = [msgspec.json.decode(file.read_bytes()) for file in sorted(self._world.definitions.iterdir())]
        first = next(line.clock for line in self._lines if line.event is not None)
        publish_catalogue(self._connection, PREFIX, documents, number=1, at=first, answers_webhooks=True)
        thread = threading.Thread(target=self._publish)
        with self._supervisor:
            self._start("ingest", "ingest")
            for number in range(WORKERS):
                self._start(f"worker-{number}", "worker")
            self._wait(lambda: self._decided() > 0, "the workers are ready")
            thread.start()
            try:
                for fault in self._faults:
                    self._allowed = (fault.number + 1) * LINES_PER_FAULT
                    self._wait(lambda fault=fault: self._published >= fault.line, f"line {fault.line}")  # type: ignore[misc]
                    told(self._suffer(fault))
                self._wait(lambda: self._published >= len(self._lines), "all lines published")
            finally:
                self._ended.set()
                thread.join()
            ends = dict.fromkeys([PREFIX + name for name in PUBLIC], 1)
            publish_ends(self._bootstrap, ends, parse_instant(self._world.until))
            self._wait(lambda: all(self._is_through("ingest", name) for name in PUBLIC), "everything ingested")
            self._wait(lambda: self._is_through("worker", "customer-log"), "everything decided")
        return self._compared()

    def _start(self, name: str, command: str) -> None:
        env = environment(self._folder, self._bootstrap, TIDINGS_TOPIC_PREFIX=PREFIX)
        argv = [*DEFECTIVE, command, "--clock", "log", "--folder", str(self._folder / name)]
        self._supervisor.start(name, argv, environment=env)

    def _publish(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "enable.idempotence": True,
                "message.timeout.ms": 900_000,
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        while self._published < len(self._lines) and not self._ended.is_set():
            if self._published < self._allowed:
                for line in self._lines[self._published : self._published + LINES_PER_S // 20]:
                    _produce(producer, line)
                producer.flush(900)
                self._published += LINES_PER_S // 20
            pause(0.05)

    def _suffer(self, fault: Fault) -> Outcome:
        """Do one fault, and wait until the workers get further again."""
        self._cluster.wait_until_whole()
        before, began = self._decided(), monotonic_s()
        skipped = self._cluster.no_disk if fault.kind == "full_disk" else ""
        is_open = False
        if not skipped:
            with self._inside_a_transaction(fault) as is_open:
                self._strike(fault)
            self._hold_and_mend(fault)
        self._cluster.wait_until_whole()
        meanwhile = self._decided()
        self._wait(lambda: self._decided() > meanwhile or self._is_idle(), f"mended: {fault}")
        return Outcome(
            fault=fault,
            at_s=round(began - self._began, 1),
            before=before,
            after=self._decided(),
            transaction_open=is_open,
            mended_s=round(monotonic_s() - began, 1),
            skipped=skipped,
        )

    @contextmanager
    def _inside_a_transaction(self, fault: Fault) -> Iterator[bool]:
        """Hold the fault's worker still while a transaction is open, if the fault wants one and one is found."""
        give_up = monotonic_s() + OPEN_WITHIN_S
        slices = itertools.cycle(SLICES_S)
        while fault.in_transaction and monotonic_s() < give_up:
            self._poll()
            pids = [pid for number in range(WORKERS) if (pid := self._supervisor.pid(f"worker-{number}"))]
            sleeps_on = self._supervisor.pid(f"worker-{fault.target}") if fault.kind == "zombie_worker" else None
            # Stopped first and looked at then, so that there is time to look; what waits meanwhile makes the next
            # transaction come sooner.
            for pid in pids:
                _signal(pid, signal.SIGSTOP)
            found = False
            try:
                if found := self._a_transaction_is_open():
                    yield True
                    return
            finally:
                for pid in pids:
                    if not (found and pid == sleeps_on):
                        _signal(pid, signal.SIGCONT)
            pause(next(slices))
        yield False

    def _strike(self, fault: Fault) -> None:  # noqa: C901, PLR0912 -- one case a kind
        worker = f"worker-{fault.target}"
        match fault.kind:
            case "kill_worker":
                _signal(self._supervisor.pid(worker), signal.SIGKILL)
            case "term_worker":
                _signal(self._supervisor.pid(worker), signal.SIGTERM)
            case "kill_ingest":
                _signal(self._supervisor.pid("ingest"), signal.SIGKILL)
            case "term_ingest":
                _signal(self._supervisor.pid("ingest"), signal.SIGTERM)
            case "zombie_worker":
                _signal(self._supervisor.pid(worker), signal.SIGSTOP)
            case "join_and_leave":
                self._start("worker-9", "worker")
            case "kill_broker":
                self._cluster.signal_broker(fault.target, signal.SIGKILL)
            case "move_leaders":
                self._cluster.leave_in_order(fault.target)
            case "pause_network":
                self._cluster.signal_proxy(fault.target, signal.SIGSTOP)
            case "full_disk":
                self._cluster.fill(fault.target)
            case "refused_record":
                self._limit_decisions(TOO_FEW_BYTES)
            case "poison":
                self._poison(fault)
            case "rules_raise":
                # It stands in the traffic that is published next; whoever has it next dies in the midst of it.
                self._wait(lambda: self._published >= fault.line + BEHIND, "the record that raises is published")
                _signal(self._supervisor.pid(worker), signal.SIGKILL)

    def _hold_and_mend(self, fault: Fault) -> None:
        """Let the fault last, then take it away; what has died comes back by itself."""
        until = monotonic_s() + fault.lasts_s
        while monotonic_s() < until:
            self._poll()
            pause(0.05)
        match fault.kind:
            case "zombie_worker":
                _signal(self._supervisor.pid(f"worker-{fault.target}"), signal.SIGCONT)
            case "join_and_leave":
                self._supervisor.stop("worker-9")
            case "pause_network":
                self._cluster.signal_proxy(fault.target, signal.SIGCONT)
            case "full_disk":
                self._cluster.empty(fault.target)
            case "refused_record":
                self._limit_decisions(self._decisions_most_bytes)
            case _:
                pass

    def _limit_decisions(self, most_bytes: str) -> None:
        entry = ConfigEntry("max.message.bytes", most_bytes, incremental_operation=AlterConfigOpType.SET)
        topic = ConfigResource(ResourceType.TOPIC, f"{PREFIX}decisions", incremental_configs=[entry])
        admin = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 0})
        for done in admin.incremental_alter_configs([topic]).values():
            done.result()

    def _poison(self, fault: Fault) -> None:
        """Put bytes that mean nothing onto each public topic."""
        producer = Producer({"bootstrap.servers": self._bootstrap, "enable.idempotence": True, "log_level": 0})
        at = self._lines[min(self._published, len(self._lines) - 1)].clock
        for name in PUBLIC:
            producer.produce(PREFIX + name, value=POISON + f"{fault.number} {name}".encode(), timestamp=at)
            self._poisoned += 1
        assert producer.flush(120) == 0

    def _poll(self) -> None:
        self._cluster.poll()
        for change in self._supervisor.poll():
            # One that was asked to end has ended well; an operator's service manager would start it again.
            if isinstance(change, Ended) and change.next == "finished":
                self._start(change.name, change.name.split("-")[0])
            elif isinstance(change, Ended) and change.next != "restart":
                raise AssertionError(f"{change.name} ended ({change.cause}): {change.log_file.read_text()[-2_000:]}")

    def _wait(self, reached: Callable[[], bool], what: str) -> None:
        give_up = monotonic_s() + MENDED_WITHIN_S
        while True:
            self._poll()
            with suppress(KafkaException):
                if reached():
                    return
            if monotonic_s() > give_up:
                raise TimeoutError(f"not within {MENDED_WITHIN_S:.0f} s: {what}; logs: {self._folder / 'processes'}")
            pause(0.05)

    def _decided(self) -> int:
        return sum(committed_offsets(self._connection, f"{PREFIX}worker", f"{PREFIX}customer-log").values())

    def _is_idle(self) -> bool:
        """Say whether all there is was decided; a fault at a quiet moment leaves nothing to get further with."""
        # The merge of an ingest in the clock of the log appends when it has a whole portion, or the end marks.
        logged = sum(end_offsets(self._connection, f"{PREFIX}customer-log").values())
        return (
            self._published >= self._allowed
            and logged > self._published * 0.99 - RECORDS_PER_APPEND
            and self._is_through("worker", "customer-log")
        )

    def _is_through(self, group: str, name: str) -> bool:
        done = committed_offsets(self._connection, PREFIX + group, PREFIX + name)
        return done == end_offsets(self._connection, PREFIX + name)

    def _a_transaction_is_open(self) -> bool:
        topic = f"{PREFIX}decisions"
        with suppress(KafkaException):
            return end_offsets(self._connection, topic) != end_offsets(self._connection, topic, committed=False)
        return False

    def _compared(self) -> Verdict:
        wanted = simulated(self._world, self._folder, program=DEFECTIVE, within_s=COMPARED_WITHIN_S)
        expected = Counter(map(_identity, wanted))
        found_records = [
            one
            for one in read_by_a_stranger(self._bootstrap, PREFIX, within_s=COMPARED_WITHIN_S)
            if _is_of_the_world(one)
        ]
        found = Counter(map(_identity, found_records))
        bodies = {_identity(one): one for one in wanted}
        different = [one for one in found_records if bodies.get(_identity(one)) != one]
        letters = list(committed_messages(self._connection, f"{PREFIX}dead-letters"))
        poison = Counter(value for one in letters if (value := one.value() or b"").startswith(POISON))
        raised = Counter(value for one in letters if DEFECT in (value := one.value() or b""))
        return Verdict(
            records=sum(expected.values()),
            missing=(expected - found).total(),
            doubled=sum(max(0, count - expected[one]) for one, count in found.items() if one in expected),
            different=len(different),
            for_example=[msgspec.json.encode(one).decode() for one in different[:SHOWN]],
            poison_lost=self._poisoned - len(poison),
            poison_doubled=poison.total() - len(poison),
            raised_lost=self._raising - len(raised),
            raised_doubled=raised.total() - len(raised),
        )


def _identity(record: Record) -> tuple[str, str]:
    names = ("send_id", "decision_id", "call_id", "line")
    return str(record["record"]), str(next((record[name] for name in names if record.get(name)), None))


def _is_of_the_world(record: Record) -> bool:
    """Say whether `simulate` has it, too: poison has no line, and a dead letter of the log isn't its line's fault."""
    of_log = {RULES, HELD_TOO_MANY}
    return record["record"] != "dead_letter" or (record.get("line") != 0 and record["error_class"] not in of_log)


def _produce(producer: Producer, line: Line) -> None:
    topic = PUBLIC[0] if line.event is None else TOPIC_OF[line.event.stream]
    producer.produce(
        PREFIX + topic, value=line.raw, timestamp=line.clock, headers=[(SEQUENCE, pack_number(line.number))]
    )


def _signal(pid: int | None, what: signal.Signals) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, what)
