"""What `tidings up` looks after: an ingest and workers that run, come back when they stop, and are asked how they are.

A process that stopped hard is started again with a growing delay, for as long as it takes; one that was ended in order
(SIGTERM, as in a rolling restart) at once. While Kafka is away nobody is started: that is told once, and so is that it
is back. A local Kafka that ended is started again too. What can't be helped ends everything, with the reason.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge

from schemas.errors import TidingsError
from tidings.clock import monotonic_s
from tidings.seeing.addresses import read_addresses
from tidings.seeing.asking import ask_ready
from tidings.seeing.health import Health
from tidings.supervisor import Ended, Restarted, RestartPolicy, Supervisor

log = logging.getLogger("tidings.up")

POLICY: Final = RestartPolicy(first_delay_s=0.2, longest_delay_s=30.0, most_restarts=1_000_000_000, window_s=600.0)
PATIENCE_S: Final = 25.0
"""How long everybody together may take to end in order; a worker gives itself 18 seconds."""
ASK_EVERY_S: Final = 2.0
_LAST_BYTES: Final = 64 * 1024


class Post(Struct, frozen=True, kw_only=True):
    """One process to be kept: its name, its command line, and what it is started with."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]


class UpStopped(TidingsError):
    """It can't go on."""


class Upkeep:
    """The processes of one `up`."""

    def __init__(
        self,
        posts: Sequence[Post],
        supervisor: Supervisor,
        *,
        data: Path,
        prefix: str,
        kafka_is_away: Callable[[], bool],
        revive_kafka: Callable[[], None],
    ) -> None:
        """Begin with nobody started.

        Args:
            posts: who is to run.
            supervisor: starts them, and ends them.
            data: the folder in which processes say where they can be asked.
            prefix: of the topics.
            kafka_is_away: whether it is known not to answer.
            revive_kafka: called again and again while it is away.
        """
        self.registry = CollectorRegistry()
        self.started_at = monotonic_s()
        self._posts = {post.name: post for post in posts}
        self._supervisor = supervisor
        self._data = data
        self._prefix = prefix
        self._kafka_is_away = kafka_is_away
        self._revive_kafka = revive_kafka
        self._health: dict[str, Health | None] = dict.fromkeys(self._posts)
        self._was_ready = False
        self._asked_at = 0.0
        self._restarts = Counter(
            "tidings_restarts", "How often a process was started again.", ["process"], registry=self.registry
        )
        self._ready = Gauge(
            "tidings_process_ready", "1 while a process is ready, else 0.", ["process"], registry=self.registry
        )

    def start(self) -> None:
        """Start everybody."""
        for post in self._posts.values():
            self._restarts.labels(post.name).inc(0)
            self._start(post)

    def look(self) -> None:
        """Notice what has changed since the last call; call it a few times a second.

        Raises:
            UpStopped: somebody ended for a reason that another start won't change.
        """
        is_away = self._kafka_is_away()
        if is_away:
            self._revive_kafka()
        for change in self._supervisor.poll(start_again=not is_away):
            if isinstance(change, Ended):
                # What it answered before its end is no word of whoever comes after it.
                self._health[change.name] = None
            match change:
                case Ended(next="restart") if is_away:
                    log.warning("%s stopped (%s); it is started when Kafka answers", change.name, change.cause)
                case Ended(next="restart"):
                    # Who was killed hadn't time for last words.
                    reason = f": {last_words(change.log_file)}" if change.code > 0 else ""
                    log.warning(
                        "%s stopped (%s), next start in %.1f s%s", change.name, change.cause, change.delay_s, reason
                    )
                case Ended(next="finished"):
                    log.info("%s ended in order; it is started again", change.name)
                    self._restarts.labels(change.name).inc()
                    self._start(self._posts[change.name])
                case Ended():
                    raise UpStopped(
                        f"{change.name} can't go on: {last_words(change.log_file)}\n(log: {change.log_file})"
                    )
                case Restarted():
                    log.info("%s runs again (pid %d)", change.name, change.pid)
                    self._restarts.labels(change.name).inc()
        if monotonic_s() - self._asked_at >= ASK_EVERY_S or not self.health().ok:
            self._ask()

    def health(self) -> Health:
        """Say whether everybody is ready; from any thread."""
        reasons = []
        for name, health in self._health.items():
            if health is None:
                reasons.append(f"{name} doesn't answer")
            elif not health.ok:
                reasons.append(f"{name}: {'; '.join(health.reasons)}")
        return Health(ok=not reasons, state="starting" if reasons else "working", reasons=reasons)

    def _start(self, post: Post) -> None:
        self._health[post.name] = None
        self._supervisor.start(post.name, post.argv, environment=post.environment)

    def _ask(self) -> None:
        self._asked_at = monotonic_s()
        urls = {address.pid: address.url for address in read_addresses(self._data, self._prefix)}
        for name in self._posts:
            pid = self._supervisor.pid(name)
            url = None if pid is None else urls.get(pid)
            health = self._health[name] = None if url is None else ask_ready(url)
            self._ready.labels(name).set(health is not None and health.ok)
        is_ready = self.health().ok
        if is_ready and not self._was_ready:
            log.info("everything is ready after %.1f s", monotonic_s() - self.started_at)
        elif self._was_ready and not is_ready:
            self.started_at = monotonic_s()
            log.warning("not everything is ready: %s", ", ".join(self.health().reasons))
        self._was_ready = is_ready


def last_words(log_file: Path) -> str:
    """Return the last line that a process has logged."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - _LAST_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it said nothing"
