"""Gives every test here a real Kafka; there is always one, so no test is skipped."""

import itertools
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kafka.broker import GivenKafka, KafkaUnderTest, OwnKafka, contained_kafka, started_kafka
from tidings.clock import fresh_bytes
from tidings.settings import process_environment

_COUNT = itertools.count()


class _Brokers:
    """The brokers of one session of tests, each started when it is first asked for."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._shared: KafkaUnderTest | None = None
        self._own: OwnKafka | None = None

    def shared(self) -> KafkaUnderTest:
        """Return the Kafka that the environment asks for, or else our own."""
        environment = process_environment()
        if self._shared is None:
            if given := environment.get("KAFKA_BOOTSTRAP_SERVERS"):
                self._shared = GivenKafka(given)
            elif environment.get("TIDINGS_TEST_KAFKA") == "testcontainers" and _docker_answers():
                self._shared = self._stack.enter_context(contained_kafka(self._folder / "contained"))
            else:
                self._shared = self.own()
        return self._shared

    def own(self) -> OwnKafka:
        """Return our own Kafka, which may be stopped and killed."""
        if self._own is None:
            self._own = self._stack.enter_context(started_kafka(self._folder / "kafka"))
        return self._own

    def revive(self) -> None:
        """Start our own again if a test left it stopped."""
        if self._own is not None:
            self._own.start()


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """Let what is started here hear SIGINT, also where a shell has started us in its background, where it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Brokers]:
    with ExitStack() as stack:
        yield _Brokers(tmp_path_factory.mktemp("broker"), stack)


@pytest.fixture(scope="session")
def kafka(_brokers: _Brokers) -> KafkaUnderTest:
    """Return a Kafka that answers: KAFKA_BOOTSTRAP_SERVERS, a container where it is asked for, or our own."""
    return _brokers.shared()


@pytest.fixture(scope="session")
def own_kafka(_brokers: _Brokers) -> OwnKafka:
    """Return a Kafka that a test may stop, kill and start; the next test finds it running again."""
    return _brokers.own()


@pytest.fixture(autouse=True)
def _kafka_runs(request: pytest.FixtureRequest) -> None:
    if {"kafka", "own_kafka"} & set(request.fixturenames):
        brokers: _Brokers = request.getfixturevalue("_brokers")
        brokers.revive()


@pytest.fixture
def prefix() -> str:
    """Return a prefix for topics, groups and transactional ids that no other test has, in any session."""
    return f"test-{fresh_bytes(4).hex()}-{next(_COUNT)}."


def _docker_answers() -> bool:
    import docker  # noqa: PLC0415 -- only where a container was asked for

    try:
        docker.from_env().ping()
    except docker.errors.DockerException:
        return False
    return True
