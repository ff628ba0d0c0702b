"""The driver of tests in which others write to the public topics: an ingest and workers in the clock of the log."""

from pathlib import Path

from schemas.topics import schemas_topic, topics
from streams.connection import Connection
from streams.topics import committed_offsets, end_offsets, ensure_topics
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.foreign_producer import publish_ends
from tests.kafka.runs import PROGRAM, PUBLIC, environment
from tidings.clock import monotonic_s, pause
from tidings.supervisor import Ended, Supervisor

PARTITIONS, PUBLIC_PARTITIONS = 3, 7
TOPIC_OF = {"behavioral": PUBLIC[0], "engagement": PUBLIC[1], "crm": PUBLIC[2]}


class Processes:
    """One ingest and some workers in the clock of the log, on topics that others write to."""

    def __init__(self, kafka: KafkaUnderTest, prefix: str, folder: Path, supervisor: Supervisor) -> None:
        """Make the topics."""
        self.bootstrap = kafka.bootstrap_servers
        self.connection = Connection(bootstrap_servers=self.bootstrap)
        self.prefix = prefix
        self._folder = folder
        self._supervisor = supervisor
        ensure_topics(self.connection, (*topics(prefix, PARTITIONS, PUBLIC_PARTITIONS, "log"), schemas_topic()))

    def start(self, command: str, name: str, **settings: str) -> None:
        """Start `tidings worker` or `tidings ingest`."""
        env = environment(self._folder, self.bootstrap, TIDINGS_TOPIC_PREFIX=self.prefix, **settings)
        argv = [str(PROGRAM), command, "--clock", "log", "--folder", str(self._folder / name)]
        self._supervisor.start(name, argv, environment=env)

    def wait_for_the_end(self) -> Ended:
        """Wait until one of them ends."""
        deadline = monotonic_s() + 120
        while True:
            for change in self._supervisor.poll():
                if isinstance(change, Ended):
                    return change
            assert monotonic_s() < deadline, "none ended"
            pause(0.02)

    def end_of_events(self, at: int) -> None:
        """Publish the end marks."""
        publish_ends(self.bootstrap, dict.fromkeys([self.prefix + name for name in PUBLIC], PUBLIC_PARTITIONS), at)

    def wait_for(self, group: str, *names: str) -> None:
        """Wait until a group stands at the ends of topics; nobody may stop meanwhile."""
        deadline = monotonic_s() + 120
        while any(
            committed_offsets(self.connection, self.prefix + group, self.prefix + name)
            != end_offsets(self.connection, self.prefix + name)
            for name in names
        ):
            stopped = [change for change in self._supervisor.poll() if isinstance(change, Ended)]
            assert not stopped, [change.log_file.read_text()[-3_000:] for change in stopped]
            assert monotonic_s() < deadline, f"{group} never reached the ends of {names}"
            pause(0.02)
