"""What the movement counts, for whoever watches it: Prometheus' own types in a registry of this process.

Counted once per batch, transaction or look, never per record; a count costs about a microsecond. A counter begins at
zero with each start of the process, as Prometheus expects; what is said of a partition goes with the partition.
"""

from typing import Final

from faust.types import TP
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

TRANSACTION_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The broker gives up a transaction after 10 seconds."""
_PLACE: Final = ("topic", "partition")


class Place(Struct):
    """How far one partition is, as its owner sees it."""

    position: int
    """The first offset that isn't done with."""
    handled_at: int | None = None
    """The timestamp of the last record that is, epoch milliseconds; None before the first."""


class Meters:
    """The counts of one process; read from any thread."""

    def __init__(self) -> None:
        """Begin at zero, in a registry of their own."""
        self.registry = registry = CollectorRegistry()
        self.records = Counter(
            "tidings_records", "Records of the source that are done with, of any kind.", _PLACE, registry=registry
        )
        self.lag_records = Gauge(
            "tidings_lag_records", "Records in the partition that aren't done with.", _PLACE, registry=registry
        )
        self.lag_seconds = Gauge(
            "tidings_lag_seconds", "How long the oldest of them has waited.", _PLACE, registry=registry
        )
        self.transactions = Histogram(
            "tidings_transaction_seconds",
            "Transactions that were committed, and how long each took.",
            buckets=TRANSACTION_BUCKETS_S,
            registry=registry,
        )
        self.recovered = Counter(
            "tidings_recovered_records", "Records of the changelog that were read back.", registry=registry
        )
        self.recovery_seconds = Gauge(
            "tidings_recovery_seconds", "How long the partition's last recovery took.", _PLACE, registry=registry
        )
        self.ticks = Counter("tidings_ticks", "Records written to the log by which time passes.", registry=registry)
        self.partitions = Gauge("tidings_partitions", "Partitions in the hands of this process.", registry=registry)
        self.recovering = Gauge(
            "tidings_partitions_recovering", "Those of them that aren't read yet.", registry=registry
        )
        self.stuck_seconds = Gauge(
            "tidings_oldest_batch_seconds", "For how long there has been work without progress.", registry=registry
        )
        self.kafka_answers = Gauge(
            "tidings_kafka_answers", "1 while Kafka answers this process, else 0.", registry=registry
        )

    def recover(self, tp: TP, records: int, seconds: float) -> None:
        """Count a recovery."""
        self.recovered.inc(records)
        self.recovery_seconds.labels(tp.topic, tp.partition).set(seconds)

    def forget(self, tp: TP) -> None:
        """Say nothing more of a partition that isn't ours any more; what was counted of it stays."""
        for gauge in (self.lag_records, self.lag_seconds, self.recovery_seconds):
            gauge.remove(tp.topic, str(tp.partition))
