"""The local Kafka: what it promises, and what it says when it can't keep it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.kafka.broker import KafkaUnderTest, OwnKafka, started_kafka
from tidings.clock import monotonic_s, pause
from tidings.services import kafka as service
from tidings.services.errors import ServiceError
from tidings.services.kafka_files import DataFolder, jar_paths
from tidings.services.ports import free_ports, port_is_free
from tidings.services.reach import ask_cluster_id

TIDINGS = [sys.executable, "-m", "tidings.cli", "kafka"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return the data folder of a Kafka that is gone after the test."""
    data = tmp_path / "kafka"
    yield data
    service.stop(data, patience_s=0)


def tidings_kafka(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `tidings kafka …`."""
    return run(*TIDINGS, *arguments)


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 -- words of ours


def test_it_answers(kafka: KafkaUnderTest) -> None:
    """A test that asks for a Kafka gets one that answers."""
    assert ask_cluster_id(kafka.bootstrap_servers, timeout_s=10)


def test_a_killed_broker_comes_back_with_its_records(own_kafka: OwnKafka, prefix: str) -> None:
    """After kill -9 a start brings the same cluster back, at the same address, with what it had acknowledged."""
    topic = f"{prefix}letters"
    cluster = ask_cluster_id(own_kafka.bootstrap_servers, timeout_s=10)
    admin = AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers})
    for created in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        created.result(30)
    producer = Producer({"bootstrap.servers": own_kafka.bootstrap_servers})
    producer.produce(topic, b"kept")
    assert producer.flush(30) == 0
    own_kafka.kill()
    own_kafka.start()
    assert ask_cluster_id(own_kafka.bootstrap_servers, timeout_s=10) == cluster
    consumer = Consumer(
        {"bootstrap.servers": own_kafka.bootstrap_servers, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    read = [message.value() for message in consumer.consume(1, timeout=30)]
    consumer.close()
    assert read == [b"kept"]


def test_start_status_and_stop_tell_what_is(folder: Path) -> None:
    """Start twice is start once; status follows; stop twice is stop once; the address stays."""
    assert service.status(folder).state == "stopped"
    assert service.stop(folder) is None
    first = service.start(folder)
    again = service.start(folder)
    assert (first.already_running, again.already_running) == (False, True)
    assert again.broker == first.broker
    assert first.broker.port < 32768
    assert service.status(folder).state == "running"
    with pytest.raises(ServiceError, match="already runs at"):
        service.start(folder, port=first.broker.port + 7)
    assert service.stop(folder) == first.broker
    assert service.status(folder).state == "stopped"
    assert service.stop(folder) is None
    os.kill(service.start(folder).broker.process.pid, signal.SIGKILL)
    until_state(folder, "died")
    assert service.stop(folder) is None
    assert service.status(folder).state == "stopped"
    assert port_is_free(first.broker.port)


def until_state(folder: Path, state: str) -> None:
    """Wait until the status is so, at most 20 seconds."""
    give_up = monotonic_s() + 20
    while service.status(folder).state != state:
        assert monotonic_s() < give_up
        pause(0.02)


def test_two_checkouts_side_by_side_do_not_disturb_each_other(own_kafka: OwnKafka, folder: Path) -> None:
    """Each folder has its own cluster at its own port, and stopping one leaves the other."""
    other = service.start(folder).broker
    cluster = ask_cluster_id(own_kafka.bootstrap_servers, timeout_s=10)
    assert cluster not in (None, other.cluster_id)
    service.stop(folder)
    assert ask_cluster_id(own_kafka.bootstrap_servers, timeout_s=10) == cluster


def test_a_copied_folder_does_not_take_the_broker_of_the_original(folder: Path, tmp_path: Path) -> None:
    """A checkout that was copied while its Kafka ran neither uses nor stops that one."""
    original = service.start(folder)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert service.status(copy).state == "stopped"
    assert service.stop(copy) is None
    try:
        assert service.start(copy).broker.port != original.broker.port
    finally:
        service.stop(copy, patience_s=0)
    assert service.status(folder).state == "running"


def test_starters_of_one_folder_start_one_broker(folder: Path) -> None:
    """Of three that start at once, one starts and the others find it running."""
    with ThreadPoolExecutor(3) as pool:
        all_ended = list(pool.map(lambda _: tidings_kafka("start", "--data", str(folder)), range(3)))
    assert [ended.returncode for ended in all_ended] == [0, 0, 0], [ended.stderr for ended in all_ended]
    assert sum("already running at" in ended.stdout for ended in all_ended) == 2


def test_the_broker_belongs_to_no_terminal(folder: Path) -> None:
    """It outlives the command that started it, and a Ctrl-C at the terminal of that command doesn't reach it."""
    assert tidings_kafka("start", "--data", str(folder)).returncode == 0
    seen = service.status(folder)
    assert seen.broker is not None
    assert os.getsid(seen.broker.process.pid) != os.getsid(0)
    assert os.getpgid(seen.broker.process.pid) != os.getpgid(0)
    assert seen.state == "running"


def test_a_stale_pid_file_misleads_nobody(folder: Path) -> None:
    """A pid that was given to another process since isn't taken for the broker, and isn't killed."""
    broker = service.start(folder).broker
    service.stop(folder, patience_s=0)
    memory = DataFolder(root=folder).state
    stale = memory.read_text().replace(f'"pid":{broker.process.pid}', f'"pid":{os.getpid()}')
    memory.write_text(stale.replace('"stopped":true', '"stopped":false'))
    assert service.status(folder).state == "died"
    assert service.stop(folder) is None
    assert not service.start(folder).already_running


def test_what_is_half_written_misleads_nobody(folder: Path) -> None:
    """A state file that was cut off, and a format that was cut off, are as none."""
    files = DataFolder(root=folder)
    (files.records / "__cluster_metadata-0").mkdir(parents=True)
    files.state.write_text('{"broker":{"pro')
    assert not service.start(folder).already_running


def test_a_taken_port_is_told(folder: Path) -> None:
    """Where another program listens, the message names the port and says what to do."""
    with socket.create_server(("127.0.0.1", next(free_ports(folder)))) as taken:
        port = taken.getsockname()[1]
        ended = tidings_kafka("start", "--data", str(folder), "--port", str(port))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"tidings: Port {port} is taken by another program")


def test_another_broker_at_the_port_is_told(own_kafka: OwnKafka, folder: Path) -> None:
    """Where another Kafka answers, the message names its cluster and how to use it."""
    port = own_kafka.bootstrap_servers.rpartition(":")[2]
    ended = tidings_kafka("start", "--data", str(folder), "--port", port)
    assert ended.returncode == 1
    assert str(ask_cluster_id(own_kafka.bootstrap_servers, timeout_s=10)) in ended.stderr
    assert f"KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:{port}" in ended.stderr


def test_another_broker_that_answers_in_our_place_is_told(own_kafka: OwnKafka, folder: Path) -> None:
    """A live process of ours doesn't make somebody else's answer ours."""
    broker = service.start(folder).broker
    memory = DataFolder(root=folder).state
    port = own_kafka.bootstrap_servers.rpartition(":")[2]
    memory.write_text(memory.read_text().replace(f'"port":{broker.port}', f'"port":{port}'))
    assert service.status(folder).state == "foreign"
    with pytest.raises(ServiceError, match="Another Kafka broker answers"):
        service.start(folder)


def test_a_remembered_port_that_is_taken_meanwhile_is_given_up(folder: Path) -> None:
    """Without a wanted port, a start finds another when last time's is taken."""
    port = service.start(folder).broker.port
    service.stop(folder)
    with socket.create_server(("127.0.0.1", port)):
        assert service.start(folder).broker.port != port


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file in the way, and a folder of the kernel, end in a message that names the setting."""
    (tmp_path / "file").touch()
    for data in (tmp_path / "file" / "kafka", Path("/proc/tidings")):
        ended = tidings_kafka("start", "--data", str(data))
        assert ended.returncode == 1
        assert ended.stderr.startswith(f"tidings: Can't write into {data}")
        assert "TIDINGS_DATA_DIR" in ended.stderr


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """On a disk of 1 MB there is a message, and nothing is left running."""
    disk = tmp_path / "disk"
    disk.mkdir()
    # A name space of our own, so that neither root nor anything to clean up is needed.
    space = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    mount = [*space, 'mount -t tmpfs -o size=1m none "$1"; shift; exec "$@"', "sh", str(disk)]
    if run(*mount, "true").returncode != 0:
        # Some systems give name spaces to nobody; then at least the words.
        with pytest.raises(ServiceError, match=r"is full: .* MB are free"):
            service._require_room(DataFolder(root=disk), 1 << 60)
        return
    start = run(*mount, *TIDINGS, "start", "--data", str(disk / "kafka"))
    assert start.returncode == 1
    assert start.stderr.startswith(f"tidings: The disk that holds {disk / 'kafka'} is full: ")
    assert "--data" in start.stderr


def test_missing_jars_are_told(tmp_path: Path) -> None:
    """A checkout that wasn't set up says how to."""
    shutil.copy(Path(__file__).parents[2] / "kafka.sha256", tmp_path)
    with pytest.raises(ServiceError, match=r"(?s)jars are missing.*make setup.*Maven"):
        jar_paths(tmp_path)


def test_a_broker_that_ends_at_once_says_why(folder: Path) -> None:
    """A property that Kafka refuses ends in Kafka's own words and the log's place."""
    with pytest.raises(ServiceError, match=r"(?s)Invalid value many.*broker.log"):
        service.start(folder, properties={"node.id": "many"})
    assert service.status(folder).state == "stopped"


def test_a_broker_of_tests_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    """Kill -9 of a session of tests leaves no broker behind."""
    assert started_kafka.__module__ == "tests.kafka.broker"
    code = (
        "import sys, time; from pathlib import Path; from tests.kafka.broker import started_kafka\n"
        "with started_kafka(Path(sys.argv[1])) as broker:\n"
        "    print(broker.bootstrap_servers, flush=True); time.sleep(600)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "kafka")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as session:  # noqa: S603 -- words of ours
        assert session.stdout is not None
        assert session.stdout.readline()
        session.kill()
    until_state(tmp_path / "kafka", "stopped")
