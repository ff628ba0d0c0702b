"""What a local Kafka is made of: its jars, its configuration, its memory, its formatted folder.

One node is broker and controller (KRaft) and listens on loopback only. The settings keep a broker small and
quick on a developer's machine, and change nothing that a client could notice in comparison with a cluster
but replication.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tidings.services.errors import ServiceError
from tidings.services.ports import LOOPBACK

CHECKOUT: Final = Path(__file__).resolve().parents[2]
"""The folder that the six packages lie in; `make setup` puts what it downloads into `.cache` there."""
CLASSES: Final = CHECKOUT / ".cache" / "kafka" / "classes.jsa"

SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    # A typing error in a topic's name must fail, not make a topic with the wrong partitions.
    "auto.create.topics.enable": "false",
    "message.max.bytes": "10485760",
    "replica.fetch.max.bytes": "10485760",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group's first member needn't wait for others.
    "group.initial.rebalance.delay.ms": "0",
    # The smallest that the cleaner takes for one thread; the default of 128 MB is half of our heap.
    "log.cleaner.dedupe.buffer.size": "4194304",
    # Runs and tests delete whole sets of topics; their files needn't lie about for a minute.
    "log.segment.delete.delay.ms": "100",
    # After a kill -9 the node waits out its predecessor's session: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
}


def kafka_data(data_dir: Path | None) -> Path:
    """Return the folder of the local Kafka under the given data folder, or under the checkout's."""
    return (data_dir or CHECKOUT / ".tidings") / "kafka"


class DataFolder(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one local Kafka, all beneath one folder of its own."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held while somebody starts or stops this Kafka."""
        return self.root / "lock"

    @property
    def properties(self) -> Path:
        """Kafka's configuration, written at each start; its path marks the broker's process."""
        return self.root / "server.properties"

    @property
    def state(self) -> Path:
        """Which process runs at which port; stale after a crash."""
        return self.root / "broker.json"

    @property
    def log_file(self) -> Path:
        """What the broker says."""
        return self.root / "broker.log"

    @property
    def records(self) -> Path:
        """Kafka's log.dirs."""
        return self.root / "records"

    def cluster_id(self) -> str | None:
        """Return the id that this folder was formatted with; None before that."""
        try:
            lines = (self.records / "meta.properties").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        return next((line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id=")), None)


def write_properties(folder: DataFolder, port: int, controller_port: int, extra: Mapping[str, str]) -> None:
    """Write Kafka's configuration for one start.

    Args:
        folder: the data folder; it exists.
        port: where clients connect.
        controller_port: where the node's two roles speak to each other.
        extra: properties that go over ours. `listeners` and `listener.security.protocol.map` are added to
            ours instead, so that a further listener doesn't displace the one that we ask for the cluster id.
    """
    ours = {
        **SETTINGS,
        "log.dirs": str(folder.records),
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    added = ("listeners", "listener.security.protocol.map")
    merged = ours | dict(extra) | {name: f"{ours[name]},{extra[name]}" for name in added if name in extra}
    text = "".join(f"{name}={_escape(value)}\n" for name, value in merged.items())
    folder.properties.write_text(text, encoding="utf-8")
    folder.properties.chmod(0o600)


def kafka_argv(java: Path, main_class: str, *arguments: str, new_archive: Path | None = None) -> list[str]:
    """Return the command line that runs a class of Kafka.

    Args:
        java: the Java to run it with.
        main_class: the class.
        arguments: what it is given.
        new_archive: where to write an archive of the loaded classes at the end, instead of using ours.

    Raises:
        ServiceError: the jars aren't there.
    """
    jars = jar_paths()
    # A simple collector and an archive of loaded classes bring the start from 7 s to 1 or 2 s. Both compilers of Java,
    # as everywhere: the quick one alone starts a little sooner, and takes a fifth more of the processor ever after. The
    # class path must be the archive's, jar by jar; when it isn't, or the Java is another, the JVM does without.
    return [
        str(java),
        "-XX:+UseSerialGC",
        "-Xms128m",
        "-Xmx384m",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ArchiveClassesAtExit={new_archive}" if new_archive else f"-XX:SharedArchiveFile={CLASSES}",
        "-Xshare:auto",
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
        "-cp",
        ":".join(str(jar) for jar in jars),
        main_class,
        *arguments,
    ]


def jar_paths(checkout: Path = CHECKOUT) -> list[Path]:
    """Return Kafka's jars in the order of the class path.

    Args:
        checkout: where `make setup` put them.

    Raises:
        ServiceError: some are missing.
    """
    try:
        lines = (checkout / "kafka.sha256").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    folder = checkout / ".cache" / "kafka" / "libs"
    jars = [folder / line.split()[1] for line in lines]
    missing = [jar.name for jar in jars if not jar.is_file()]
    if missing or not jars:
        message = (
            f"Kafka's jars are missing in {folder} ({len(missing)} of {len(jars)}).\n"
            "Run `make setup` in the checkout (it needs Maven), or point KAFKA_BOOTSTRAP_SERVERS to a Kafka."
        )
        raise ServiceError(message)
    return jars


def cluster_id_from(chance: bytes) -> str:
    """Write 16 bytes as Kafka writes its ids: base64 for URLs, without padding.

    The first bit is cleared: an id that begins with a dash is an option to Kafka's own tools.
    """
    chance = bytes([chance[0] & 0x7F]) + chance[1:]
    return base64.urlsafe_b64encode(chance).rstrip(b"=").decode()


def _escape(value: str) -> str:
    """Escape a value as java.util.Properties reads it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")
