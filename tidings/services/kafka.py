"""Starts, stops and watches a local Apache Kafka that outlives us.

The truth about a local Kafka is a process and a folder, and both can mislead. A pid file may be stale, so a
process counts as the broker only with its start time and its command line. A port may be answered by somebody
else, so a broker counts as ours only when it tells the cluster id that its folder was formatted with. Two
starters of one folder exclude each other by a lock; starters of different folders look for ports in different
places, and try again when somebody took one between the test and the broker's bind.
"""

import errno
import fcntl
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import SEEK_END
from pathlib import Path
from typing import Final, Literal

import msgspec

from tidings.clock import fresh_bytes, monotonic_s, pause
from tidings.services.errors import ServiceError
from tidings.services.java import find_java
from tidings.services.kafka_files import DataFolder, cluster_id_from, kafka_argv, write_properties
from tidings.services.ports import LOOPBACK, free_ports, port_is_free
from tidings.services.processes import DetachedProcess, end, is_alive, spawn_detached
from tidings.services.reach import ask_cluster_id

_START_S: Final = 60.0
_STOP_S: Final = 30.0
_LOCK_S: Final = 90.0
_POLL_S: Final = 0.03
_LEAST_FREE_BYTES: Final = 64 * 1024 * 1024
"""An empty broker writes 30 MB of sparse indexes and a few KB; with less than this it stops soon after."""
_ATTEMPTS: Final = 5
_LOG_TAIL_BYTES: Final = 1024 * 1024
_FOREIGN_S: Final = 5.0


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """A local Kafka that was started: what others need to find it, and we to know it again."""

    process: DetachedProcess
    port: int
    controller_port: int
    cluster_id: str
    data: Path

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect, without encryption and from this machine only."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def log_file(self) -> Path:
        """What the broker says."""
        return DataFolder(root=self.data).log_file


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `start`."""

    broker: Broker
    already_running: bool


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `status`.

    `stopped`: nobody started it, or it was stopped. `died`: it ended without being asked. `silent`: its
    process lives but doesn't answer (yet). `foreign`: somebody else answers at its port.
    """

    state: Literal["running", "stopped", "died", "silent", "foreign"]
    broker: Broker | None
    reason: str = ""
    """Why it died, as its log tells."""


class _Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What the data folder remembers of its last broker; its ports are wanted again after a stop."""

    broker: Broker
    stopped: bool


class _Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker is to be run, wherever it will listen."""

    java: Path
    properties: Mapping[str, str]
    new_archive: Path | None


class _PortLostError(ServiceError):
    """Somebody took a port between our test and the broker's bind."""


def start(
    data: Path,
    *,
    port: int | None = None,
    properties: Mapping[str, str] | None = None,
    java_home: Path | None = None,
    new_archive: Path | None = None,
) -> Started:
    """Start the Kafka of a data folder and wait until it answers; a running one is left as it is.

    Args:
        data: the folder of this Kafka alone; made when it isn't there. Its records survive stops.
        port: where it shall listen; None: where it listened last, or else any free port below 32768.
        properties: Kafka properties over ours; further `listeners` are added to ours.
        java_home: a Java other than the one on the path of commands.
        new_archive: where the JVM shall write an archive of its loaded classes when it is stopped.

    Raises:
        ServiceError: no Java, no jars, no room, no right to write, a taken port, somebody else's answer, or a
            broker that ends; nothing is left running that was started here.
    """
    folder = DataFolder(root=data.resolve())
    _make_writable(folder)
    with _locked(folder):
        memory = _read_memory(folder)
        if memory is not None and is_alive(memory.broker.process):
            running = memory.broker
            if port not in (None, running.port):
                message = (
                    f"This Kafka already runs at {running.bootstrap_servers}; to move it to port {port}, stop it first."
                )
                raise ServiceError(message)
            _await_answer(folder, running)
            return Started(broker=running, already_running=True)
        _require_room(folder)
        launch = _Launch(java=find_java(java_home), properties=properties or {}, new_archive=new_archive)
        broker = _start_somewhere(folder, launch, port, memory)
        return Started(broker=broker, already_running=False)


def stop(data: Path, *, patience_s: float = _STOP_S) -> Broker | None:
    """Stop the Kafka of a data folder and wait until it is gone.

    Args:
        data: its folder.
        patience_s: how long it may take to end by itself before it is killed; 0 kills at once (`kill -9`).

    Returns:
        What ran, or None if nothing did.

    Raises:
        ServiceError: the process can't be ended.
    """
    folder = DataFolder(root=data.resolve())
    if not folder.root.is_dir():
        return None
    with _locked(folder):
        memory = _read_memory(folder)
        if memory is None:
            return None
        broker = memory.broker
        ran = is_alive(broker.process)
        if ran:
            end(broker.process, patience_s=patience_s)
        _remember_stop(folder, broker)
        return broker if ran else None


def status(data: Path) -> Status:
    """Look at the Kafka of a data folder, without waiting for it and without changing anything."""
    folder = DataFolder(root=data.resolve())
    memory = _read_memory(folder)
    if memory is None or memory.stopped:
        return Status(state="stopped", broker=memory.broker if memory else None)
    broker = memory.broker
    if not is_alive(broker.process):
        return Status(state="died", broker=broker, reason=str(_why_it_ended(folder)))
    answer = ask_cluster_id(broker.bootstrap_servers, timeout_s=2)
    if answer is None:
        return Status(state="silent", broker=broker)
    return Status(state="running" if answer == broker.cluster_id else "foreign", broker=broker)


def _start_somewhere(folder: DataFolder, launch: _Launch, port: int | None, memory: _Memory | None) -> Broker:
    """Start on the wanted ports, or on the first free ones that stay free until the broker has them."""
    if port is not None:
        _require_free(port)
    candidates = _port_pairs(folder, port, memory)
    for _ in range(_ATTEMPTS - 1):
        try:
            return _start_at(folder, launch, next(candidates))
        except _PortLostError:
            if port is not None:
                _require_free(port)
    return _start_at(folder, launch, next(candidates))


def _port_pairs(folder: DataFolder, port: int | None, memory: _Memory | None) -> Iterator[tuple[int, int]]:
    """Yield ports for clients and for the controller: last time's first, so that addresses stay valid."""
    if memory is not None:
        last, controller = memory.broker.port, memory.broker.controller_port
        if port in (None, last) and port_is_free(last) and port_is_free(controller):
            yield last, controller
    free = free_ports(folder.root)
    for candidate in free:
        if candidate != port:
            yield (port, candidate) if port is not None else (candidate, next(free))
    message = "No port between 20000 and 32767 is free."
    raise ServiceError(message)


def _start_at(folder: DataFolder, launch: _Launch, ports: tuple[int, int]) -> Broker:
    write_properties(folder, *ports, launch.properties)
    _format(folder, launch.java)
    broker = _spawn(folder, launch, *ports)
    try:
        _await_answer(folder, broker)
    except BaseException:
        # Whoever interrupts a start doesn't want the broker.
        end(broker.process, patience_s=0)
        _remember_stop(folder, broker)
        raise
    return broker


def _format(folder: DataFolder, java: Path) -> None:
    """Give the folder a cluster id and Kafka's current features, once, with Kafka's own tool."""
    if folder.cluster_id() is not None:
        return
    cluster = cluster_id_from(fresh_bytes(16))
    # An earlier format that was cut off has left a part; without meta.properties it never served a record.
    arguments = ("format", "--ignore-formatted", "-t", cluster, "-c", str(folder.properties))
    argv = kafka_argv(java, "kafka.tools.StorageTool", *arguments)
    run = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 -- Kafka's own tool
    folder.log_file.write_text(run.stdout + run.stderr, encoding="utf-8")
    if run.returncode != 0 or folder.cluster_id() is None:
        raise _why_it_ended(folder)


def _spawn(folder: DataFolder, launch: _Launch, port: int, controller_port: int) -> Broker:
    if folder.log_file.exists():
        folder.log_file.replace(folder.root / "broker.previous.log")
    argv = kafka_argv(launch.java, "kafka.Kafka", str(folder.properties), new_archive=launch.new_archive)
    broker = Broker(
        process=spawn_detached(argv, folder.log_file, mark=str(folder.properties)),
        port=port,
        controller_port=controller_port,
        cluster_id=folder.cluster_id() or "",
        data=folder.root,
    )
    _write_memory(folder, _Memory(broker=broker, stopped=False))
    return broker


def _await_answer(folder: DataFolder, broker: Broker) -> None:
    """Wait until the broker tells its own cluster id.

    Raises:
        ServiceError: it ended, somebody else answers, or it says nothing for a minute.
    """
    give_up = monotonic_s() + _START_S
    foreign: str | None = None
    while monotonic_s() < give_up:
        if not is_alive(broker.process):
            raise _why_it_ended(folder)
        answer = ask_cluster_id(broker.bootstrap_servers, timeout_s=0.5)
        if answer == broker.cluster_id:
            return
        if answer is not None and foreign is None:
            # A broker that lost its port to another is about to end by itself, and then tells so.
            foreign, give_up = answer, monotonic_s() + _FOREIGN_S
        pause(_POLL_S)
    if foreign is not None:
        message = (
            f"Another Kafka broker answers at {broker.bootstrap_servers}: its cluster is {foreign}, "
            f"ours {broker.cluster_id}.\nStop that one, or name another port."
        )
    else:
        message = f"Kafka at {broker.bootstrap_servers} gives no answer; see {folder.log_file}"
    raise ServiceError(message)


def _require_free(port: int) -> None:
    if port_is_free(port):
        return
    cluster = ask_cluster_id(f"{LOOPBACK}:{port}", timeout_s=2)
    if cluster is None:
        message = f"Port {port} is taken by another program; name a free one, or none to have one chosen."
    else:
        message = (
            f"Another Kafka broker answers at port {port} (cluster {cluster}).\n"
            f"To use it, set KAFKA_BOOTSTRAP_SERVERS={LOOPBACK}:{port}; else name a free port, or none."
        )
    raise ServiceError(message)


def _require_room(folder: DataFolder, least_bytes: int = _LEAST_FREE_BYTES) -> None:
    free = shutil.disk_usage(folder.root).free
    if free < least_bytes:
        raise _disk_full(folder, f"{free >> 20} MB are free, Kafka needs {least_bytes >> 20} MB or more")


def _disk_full(folder: DataFolder, detail: str) -> ServiceError:
    return ServiceError(
        f"The disk that holds {folder.root} is full: {detail}.\n"
        "Make room, or name another folder (--data, or TIDINGS_DATA_DIR)."
    )


def _not_writable(folder: DataFolder, error: OSError) -> ServiceError:
    return ServiceError(
        f"Can't write into {folder.root}: {error.strerror}.\nName another folder (--data, or TIDINGS_DATA_DIR)."
    )


def _make_writable(folder: DataFolder) -> None:
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        folder.lock.touch()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _disk_full(folder, "nothing can be written") from error
        message = (
            f"Can't write into {folder.root}: {error.strerror}.\nName another folder (--data, or TIDINGS_DATA_DIR)."
        )
        raise ServiceError(message) from error


def _why_it_ended(folder: DataFolder) -> ServiceError:
    """Tell from the log why the broker, or its format, ended."""
    log = _read_log(folder)
    if "Address already in use" in log:
        return _PortLostError("Another program took the port of Kafka while it started; try again.")
    if "No space left on device" in log:
        return _disk_full(folder, "Kafka stopped when it couldn't write")
    return ServiceError(f"Kafka ended: {_last_words(folder)}\nIts log: {folder.log_file}")


def _last_words(folder: DataFolder) -> str:
    """Return the line of the log that says most about an end."""
    lines = _read_log(folder).splitlines()
    telling = [line for line in lines if " ERROR " in line or "Exception" in line or line.startswith("Error")]
    return (telling or lines or ["it has left no word"])[-1].strip()[:400]


def _read_log(folder: DataFolder) -> str:
    """Return the end of the broker's log; a broken disk can fill it with gigabytes."""
    try:
        with folder.log_file.open("rb") as log:
            size = log.seek(0, SEEK_END)
            log.seek(max(0, size - _LOG_TAIL_BYTES))
            return log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _read_memory(folder: DataFolder) -> _Memory | None:
    try:
        memory = msgspec.json.decode(folder.state.read_bytes(), type=_Memory, dec_hook=_read_path)
    except (OSError, msgspec.DecodeError):
        return None
    # In a copied folder it speaks of the original's broker, which isn't ours to use or to stop.
    return memory if memory.broker.data == folder.root else None


def _write_memory(folder: DataFolder, memory: _Memory) -> None:
    # Whole or not at all: a reader without the lock (`status`) must not see half of it.
    whole = folder.state.with_suffix(".new")
    whole.write_bytes(msgspec.json.encode(memory, enc_hook=str))
    whole.replace(folder.state)


def _remember_stop(folder: DataFolder, broker: Broker) -> None:
    try:
        _write_memory(folder, _Memory(broker=broker, stopped=True))
    except OSError:
        # A full disk keeps nobody from stopping; what is forgotten is only the port.
        folder.state.unlink(missing_ok=True)


def _read_path(wanted: type, value: object) -> Path:
    if wanted is not Path or not isinstance(value, str):
        raise NotImplementedError
    return Path(value)


@contextmanager
def _locked(folder: DataFolder) -> Iterator[None]:
    """Hold the folder's lock; the kernel gives it back when we die."""
    give_up = monotonic_s() + _LOCK_S
    try:
        file = folder.lock.open("a")
    except OSError as error:
        raise _not_writable(folder, error) from error
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic_s() > give_up:
                    message = f"Another `tidings kafka` has been busy with {folder.root} for too long."
                    raise ServiceError(message) from None
                pause(_POLL_S)
        yield
