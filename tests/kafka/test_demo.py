"""`tidings demo`, as a person runs it."""

import signal
import subprocess
from pathlib import Path

from streams.connection import Connection
from streams.topics import admin_client
from tests.kafka.broker import KafkaUnderTest, OwnKafka
from tests.kafka.runs import PROGRAM, environment, tidings
from tidings.clock import monotonic_s, pause
from tidings.services.kafka_files import CHECKOUT

WITHIN_S = 300.0


def test_the_demo_tells_what_became_of_real_purchases_and_equals_simulate(
    kafka: KafkaUnderTest, tmp_path: Path
) -> None:
    records, alone = tmp_path / "records.ndjson", tmp_path / "alone.ndjson"
    env = environment(tmp_path, kafka.bootstrap_servers)

    done = tidings("demo", "--customers", "150", "--output", str(records), env=env)
    simulated = tidings(
        "simulate",
        *("--definitions", str(CHECKOUT / "examples" / "shop")),
        *("--events", str(tmp_path / "demo" / "events.ndjson")),
        *("--output", str(alone)),
        env=env,
    )

    assert (done.returncode, simulated.returncode) == (0, 0), done.stderr + simulated.stderr
    assert records.read_bytes() == alone.read_bytes()
    for title in ("What was sent", "What was not sent, and why", "One customer: ", "How fast", "Where to look next"):
        assert title in done.stdout
    assert "\x1b" not in done.stdout


def test_without_the_purchases_the_demo_says_what_to_do(tmp_path: Path) -> None:
    done = tidings("demo", "--data", str(tmp_path / "nothing.txt"), env=environment(tmp_path))

    assert done.returncode == 1
    assert "make setup" in done.stderr


def test_an_interrupted_demo_leaves_no_topics_and_says_so_in_a_line(own_kafka: OwnKafka, tmp_path: Path) -> None:
    before = _topics(own_kafka)
    argv = [str(PROGRAM), "demo", "--customers", "3000"]
    env = environment(tmp_path, own_kafka.bootstrap_servers)
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    deadline = monotonic_s() + WITHIN_S
    while not _topics(own_kafka) - before:
        assert monotonic_s() < deadline
        pause(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 130
    assert output == ""
    assert "Traceback" not in errors
    assert "Stopped" in errors
    while left := _topics(own_kafka) - before:
        assert monotonic_s() < deadline, left
        pause(0.1)


def _topics(kafka: OwnKafka) -> set[str]:
    topics = admin_client(Connection(bootstrap_servers=kafka.bootstrap_servers)).list_topics(timeout=20).topics
    return {name for name in topics if name.startswith("run-")}
