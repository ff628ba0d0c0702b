"""What a run says of a Kafka that goes away in the middle."""

from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException

from schemas.instants import DAY_MS
from streams.connection import Connection
from tidings.running import Crew, RunPlan, Watcher
from tidings.supervisor import Supervisor

GONE = "Kafka ended without being asked. The disk is full."


def test_a_local_kafka_that_ended_is_told_of_once_with_the_reason(tmp_path: Path) -> None:
    """A full disk ends the broker a moment after it stops answering: the reason follows, once, and the run goes on."""
    said: list[str] = []
    losses, answers = iter([None, GONE, GONE]), iter([False, False, False, True])

    def measure() -> Iterator[tuple[int, int]]:
        if not next(answers):
            raise KafkaException(KafkaError(KafkaError.BROKER_NOT_AVAILABLE))
        yield 1, 1

    plan = RunPlan(
        connection=Connection(bootstrap_servers="localhost:1"),
        prefix="run-0.",
        documents=[],
        events=tmp_path / "events.ndjson",
        until=None,
        max_jump_ms=DAY_MS,
        partitions=1,
        public_partitions=1,
        workers=1,
        folder=tmp_path,
        environment={},
        program=tmp_path / "tidings",
        schema_of=lambda _: None,
        lost_kafka=lambda: next(losses),
    )
    watcher = Watcher(
        published=lambda _: None, ingested=lambda _, __: None, decided=lambda _, __: None, said=said.append
    )
    Crew(plan, Supervisor(tmp_path / "log"), watcher).wait_for(measure, lambda _done, _total: None)
    assert said == ["Kafka doesn't answer at localhost:1; waiting for it", GONE, "Kafka answers again; going on"]
