"""The trigger job: laps of raw reading and of the worker over one log, in turns, with the output checked.

The machine's mood changes from minute to minute and is the same for neighbours: so laps alternate, and what counts
is the median of the ratios. CPU per event tells the same with less noise.
"""

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from bench.log import PARTITIONS, is_folded, write_log
from bench.measured import Lap, Share, together
from bench.memory import Alone
from bench.outcome import count_decisions, sent
from bench.reference import Start, expected
from bench.traffic import read_traffic, traffic
from schemas.events import customer_key
from schemas.log import decode_event
from schemas.topics import CUSTOMER_LOG, topics
from streams.connection import Connection
from streams.topics import admin_client, delete_topics, ensure_topics
from tidings.clock import fresh_bytes
from tidings.definitions_folder import load_folder
from tidings.processes import WORKER_GROUP

DEFINITIONS: Final = Path(__file__).parent / "definitions"
PATIENCE_S: Final = 120.0
LOOK_EVERY_S: Final = 0.25
STOP_S: Final = 30.0


class WrongOutput(Exception):
    """The messages that came out aren't those of the reference."""


class WorkerFailed(Exception):
    """A measured process ended or stood still."""


class Round(Struct, frozen=True, kw_only=True):
    """One lap of each, one after the other."""

    raw: Lap
    batches: Lap
    tidings: Lap
    two_workers: Lap


class Measured(Struct, frozen=True, kw_only=True):
    """One run of the job."""

    events: int
    event_bytes: int
    customers: int
    messages: int
    decisions: int
    rounds: list[Round]
    alone: Alone


Say = Callable[[str], None]
Answer = TypeVar("Answer")


def run_job(connection: Connection, cache: Path, laps: int, say: Say) -> Measured:
    """Measure.

    Raises:
        WrongOutput: a lap's messages aren't those of the reference; nothing is measured then.
        WorkerFailed: a process ended or stood still.
    """
    say("traffic, and what has to come of it")
    path = traffic(cache)
    wanted, end = expected(read_traffic(path))
    events, customers = _count(path)
    documents = load_folder(DEFINITIONS).documents
    prefix = f"bench-{fresh_bytes(4).hex()}."
    prefixes = [prefix, *(f"{prefix}{number}." for number in range(2 * laps))]
    try:
        say(f"{events:,} events of {customers:,} customers into the log")
        write_log(connection, prefix, documents, path, end)
        rounds: list[Round] = []
        for one, two in zip(prefixes[1::2], prefixes[2::2], strict=True):
            raw, batches = read_raw(connection, prefix, "each"), read_raw(connection, prefix, "batches")
            tidings = fold_lap(connection, prefix, one, events, cache, workers=1)
            two_workers = fold_lap(connection, prefix, two, events, cache, workers=2)
            say(
                f"lap {len(rounds) + 1} of {laps}: {_speed(raw)} raw, {_speed(tidings)} Tidings,"
                f" {_speed(two_workers)} with two workers"
            )
            compare(wanted, sent(connection, one))
            compare(wanted, sent(connection, two))
            rounds.append(Round(raw=raw, batches=batches, tidings=tidings, two_workers=two_workers))
        decisions = count_decisions(connection, prefixes[-1])
    finally:
        remove_laps(connection, prefixes)
    say("the rules alone, in memory")
    alone = run_measured("bench.memory", str(path), str(DEFINITIONS), answer=Alone)
    return Measured(
        events=events,
        event_bytes=path.stat().st_size // events - 15,
        customers=customers,
        messages=wanted.total(),
        decisions=decisions,
        rounds=rounds,
        alone=alone,
    )


def _count(path: Path) -> tuple[int, int]:
    customers: Counter[bytes] = Counter(customer_key(decode_event(value)) for _, value in read_traffic(path))
    return customers.total(), len(customers)


def _speed(lap: Lap) -> str:
    return f"{lap.events / lap.wall_s:,.0f} events/s"


def read_raw(connection: Connection, prefix: str, how: str) -> Lap:
    """Read the log of a prefix and decode it: `each` record by record, or in `batches`."""
    return run_measured("bench.raw", connection.bootstrap_servers, prefix + CUSTOMER_LOG, how, answer=Lap)


def fold_lap(connection: Connection, log_prefix: str, prefix: str, events: int, cache: Path, *, workers: int) -> Lap:
    """Let workers fold the whole log between them, and return their lap."""
    names = [spec for spec in topics(prefix, PARTITIONS, PARTITIONS, "log") if spec.name in _written(prefix)]
    ensure_topics(connection, names)
    folder = cache / "laps" / prefix.rstrip(".")
    folder.mkdir(parents=True)
    said = folder / "workers.log"
    with said.open("wb") as log, ExitStack() as stack:
        processes = []
        for number in range(workers):
            places = [str(folder / f"data-{number}"), str(folder / f"share-{number}.json")]
            argv = [
                sys.executable,
                "-m",
                "bench.worker",
                connection.bootstrap_servers,
                log_prefix,
                prefix,
                str(workers),
                *places,
            ]
            processes.append(stack.enter_context(subprocess.Popen(argv, stdout=log, stderr=log)))  # noqa: S603
        try:
            _await_end(connection, prefix, log_prefix + CUSTOMER_LOG, processes, said)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(STOP_S)
    shares = [msgspec.json.decode(file.read_bytes(), type=Share) for file in sorted(folder.glob("share-*.json"))]
    shutil.rmtree(folder)
    return together(shares, events)


def _written(prefix: str) -> set[str]:
    """Name what a worker writes; the log and the definitions are shared."""
    kept = {"customers-changelog", "email-sends", "sms-sends", "push-sends", "social-sends", "decisions"}
    return {prefix + name for name in kept}


def _await_end(
    connection: Connection, prefix: str, log: str, workers: list[subprocess.Popen[bytes]], said: Path
) -> None:
    begin = time.monotonic()
    while not is_folded(connection, prefix + WORKER_GROUP, log):
        if any(worker.poll() is not None for worker in workers) or time.monotonic() - begin > PATIENCE_S:
            raise WorkerFailed(f"a worker didn't come to the end of the log; see {said}")
        time.sleep(LOOK_EVERY_S)


def compare(wanted: Counter[Start], came: Counter[Start]) -> None:
    """Compare what came with what the reference says.

    Raises:
        WrongOutput: they aren't the same.
    """
    if came == wanted:
        return
    missing, surplus = wanted - came, came - wanted
    raise WrongOutput(
        f"{missing.total()} messages are missing and {surplus.total()} too many of {wanted.total()};"
        f" first missing: {min(missing, key=lambda start: start.at, default=None)},"
        f" first too many: {min(surplus, key=lambda start: start.at, default=None)}"
    )


def remove_laps(connection: Connection, prefixes: list[str]) -> None:
    """Delete what laps have left."""
    names = {spec.name for prefix in prefixes for spec in topics(prefix, 1, 1, "log")}
    delete_topics(connection, sorted(names))
    groups = admin_client(connection).delete_consumer_groups([prefix + WORKER_GROUP for prefix in prefixes[1:]])
    for deleted in groups.values():
        deleted.exception()


def run_measured(module: str, *arguments: str, answer: type[Answer]) -> Answer:
    """Run a module in a process of its own, and return the answer that it prints.

    Raises:
        WorkerFailed: it failed.
    """
    argv = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=PATIENCE_S)  # noqa: S603
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise WorkerFailed(f"{module} failed: {error}") from None
    return msgspec.json.decode(done.stdout, type=answer)
