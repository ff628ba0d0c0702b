"""How far behind a process is, and whether Kafka answers it: asked every few seconds, beside the work.

Lag in seconds is for how long, at most, the oldest record that isn't done with has waited. It came behind every end
that the position has passed, so after the latest moment at which the partition ended there; live, it also isn't older
than the record before it. So neither a quiet night nor a producer's clock makes a lag.

A Kafka that goes away is told in one line, and one more when it answers again.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaException
from faust.types import TP

from schemas.instants import Millis
from streams.calm import set_away
from streams.connection import Connection
from streams.meters import Place
from streams.topics import admin_client, end_offsets
from streams.vitals import Vitals

log = logging.getLogger("tidings.seeing")

LOOK_EVERY_S: Final = 3.0
ASK_S: Final = 3.0
MOST_ENDS: Final = 500
"""Ends remembered of a partition; beyond that every second one is enough to say how long it has lagged."""


class Waiting:
    """How long records of one partition have waited, by the ends that were seen."""

    def __init__(self) -> None:
        """Begin without having seen any."""
        self._ends: deque[tuple[Millis, int]] = deque()

    def seconds(self, place: Place, end: int, now: Millis, *, is_live: bool) -> float:
        """Take the partition's end, and say how long the oldest record before it may have waited.

        Args:
            place: how far the partition is.
            end: behind its last record.
            now: when that was asked, epoch milliseconds.
            is_live: whether records carry the time of their arrival.
        """
        ends = self._ends
        ends.append((now, end))
        while len(ends) > 1 and ends[1][1] <= place.position:
            ends.popleft()
        if len(ends) > MOST_ENDS:
            self._ends = deque(list(ends)[::2])
        if end <= place.position:
            return 0.0
        since, seen = ends[0]
        handled_at = place.handled_at if is_live else None
        if handled_at is not None:
            # What waited before we looked for the first time is known by the record before it alone.
            since = max(since, handled_at) if seen <= place.position else handled_at
        return max(0.0, (now - since) / 1000)


class KafkaWatch:
    """Asks Kafka for the ends of topics, in a thread of its own."""

    def __init__(
        self,
        connection: Connection,
        topics: Sequence[str],
        vitals: Vitals,
        clock: Callable[[], Millis],
        *,
        is_live: bool,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            connection: where Kafka is.
            topics: which are read; empty where only Kafka itself matters.
            vitals: of the process; its meters show the lag.
            clock: epoch milliseconds.
            is_live: whether records carry the time of their arrival.
        """
        self._connection = connection
        self._topics = topics
        self._vitals = vitals
        self._clock = clock
        self._is_live = is_live
        self._waiting: dict[TP, Waiting] = {}
        self._away_since: Millis | None = None
        self._answered = False
        self._pause = threading.Event()

    @property
    def problem(self) -> str | None:
        """Why Kafka can't be counted on, as a sentence; None when it answers."""
        if self._away_since is not None:
            return f"Kafka doesn't answer at {self._connection.bootstrap_servers}"
        return None if self._answered else f"Kafka at {self._connection.bootstrap_servers} hasn't been asked yet"

    @property
    def is_away(self) -> bool:
        """Whether Kafka is known not to answer."""
        return self._away_since is not None

    def start(self) -> None:
        """Begin to ask."""
        threading.Thread(target=self._go_on, name="kafka-watch", daemon=True).start()

    def _go_on(self) -> None:
        while True:
            try:
                self._look()
            except KafkaException as error:
                self._note_away(error.args[0].str())
            else:
                self._note_answer()
            self._pause.wait(LOOK_EVERY_S)

    def _look(self) -> None:
        admin_client(self._connection).list_topics(timeout=ASK_S)
        places = dict(self._vitals.places)
        ends = {TP(topic, number): end for topic in self._topics for number, end in self._ends(topic).items()}
        now, meters = self._clock(), self._vitals.meters
        for tp, place in places.items():
            end = ends.get(tp)
            # A partition that was given back meanwhile is somebody else's to speak of.
            if end is not None and tp in self._vitals.places:
                waited_s = self._waiting.setdefault(tp, Waiting()).seconds(place, end, now, is_live=self._is_live)
                meters.lag_records.labels(tp.topic, tp.partition).set(max(0, end - place.position))
                meters.lag_seconds.labels(tp.topic, tp.partition).set(waited_s)
        for lost in self._waiting.keys() - places.keys():
            del self._waiting[lost]

    def _ends(self, topic: str) -> dict[int, int]:
        return end_offsets(self._connection, topic)

    def _note_away(self, reason: str) -> None:
        self._vitals.meters.kafka_answers.set(0)
        if self._away_since is None:
            self._away_since = self._clock()
            set_away(is_away=True)
            log.error("Kafka doesn't answer at %s (%s); waiting for it", self._connection.bootstrap_servers, reason)

    def _note_answer(self) -> None:
        self._vitals.meters.kafka_answers.set(1)
        self._answered = True
        if self._away_since is not None:
            log.warning("Kafka answers again after %.0f s", (self._clock() - self._away_since) / 1000)
            self._away_since = None
            set_away(is_away=False)
