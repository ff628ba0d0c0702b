"""Dead letters in the hands of an operator: read, put back on their public topics, or laid aside.

Of a quarantined customer either releases her: with the record on which the rules had raised, or without it.

- reads: `dead-letters`, and `dead-letters-settled` (compacted: per letter what was done with it)
- writes: the public topics, `customer-log` (releases, and records that weren't kept), and `dead-letters-settled`, in
  one transaction
- guarantee: a letter is put back once, unless it is asked for again. Every writer has the same transactional id, and
  looks what is settled after it has fenced out those before it: so of two at once one sees what the other did, or has
  undone it
- a crash undoes the transaction under way, of at most `MOST_AT_ONCE` letters; those before it are settled
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

import msgspec
from confluent_kafka import Message, Producer
from msgspec import Struct

from agents.marking import one_transaction, only_producer
from schemas.dead_letters import Deed, Header, Letter, Place, Settled, decode_settled, encode_settled, read_letter
from schemas.instants import Millis
from schemas.linking import LINK, Released, encode_link
from schemas.log import APPENDED, SEQUENCE, pack_number
from schemas.topics import (
    CUSTOMER_LOG,
    DEAD_LETTERS,
    DEAD_LETTERS_SETTLED,
    PUBLIC_TOPICS,
    dead_letters_settled_topic,
)
from streams.connection import Connection
from streams.reading import read_to_end
from streams.topics import ensure_topics, partition_counts

SETTLING_ID: Final = "tidings-dead-letters"
MOST_AT_ONCE: Final = 500
"""Letters of one transaction, which has to be done within ten seconds."""


class Outcome(Struct):
    """How many letters were settled, and how many were left alone, by why."""

    done: int = 0
    settled_before: int = 0
    without_topic: int = 0


def read_letters(
    connection: Connection, prefix: str, progress: Callable[[int, int], object] = lambda _read, _all: None
) -> Iterator[Letter]:
    """Yield every dead letter that is kept, each once, partition by partition.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    topic = prefix + DEAD_LETTERS
    if not partition_counts(connection, [topic]):
        return
    seen: set[tuple[str, str]] = set()
    for message in read_to_end(connection, [topic], progress):
        letter = _letter(message)
        if (letter.id, letter.digest) not in seen:
            seen.add((letter.id, letter.digest))
            yield letter


def read_settled(connection: Connection, prefix: str) -> dict[str, Settled]:
    """Return what was done with letters, by their ids.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    topic = prefix + DEAD_LETTERS_SETTLED
    found: dict[str, Settled] = {}
    if not partition_counts(connection, [topic]):
        return found
    for message in read_to_end(connection, [topic]):
        letter_id, value = (message.key() or b"").decode(errors="replace"), message.value()
        try:
            if value is None:
                found.pop(letter_id, None)
            else:
                found[letter_id] = decode_settled(value)
        except msgspec.MsgspecError:
            continue
    return found


def deed_of(letter: Letter, settled: Mapping[str, Settled]) -> Settled | None:
    """Return what was done with a letter; None where nothing was."""
    found = settled.get(letter.id)
    return found if found is not None and found.digest == letter.digest else None


def settle(
    connection: Connection,
    prefix: str,
    letters: Iterable[Letter],
    deed: Deed,
    now: Millis,
    *,
    again: bool = False,
    edited: bytes | None = None,
    gone: Iterable[str] = (),
    at: Millis | None = None,
    told: Callable[[int], object] = lambda _done: None,
) -> Outcome:
    """Put letters back on their topics, or lay them aside, and remember it in the same transaction.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        letters: as they were read.
        deed: `retried` puts them back: same partition, key, value, headers and timestamp.
        now: when, epoch milliseconds.
        again: also what is settled already.
        edited: the value to put back in place of the letter's.
        gone: ids of letters that are remembered, but kept no more: these are forgotten.
        at: the timestamp of what goes to a log that has its own clock; None: it has none, and that is `now`.
        told: is called with how many are done.

    Raises:
        TidingsError: Kafka refused or can't be reached. What was told as done is done; the rest isn't known, and doing
            it again does nothing twice.
    """
    outcome = Outcome()
    ensure_topics(connection, [dead_letters_settled_topic(prefix)])
    partitions = partition_counts(connection, [prefix + name for name in (*PUBLIC_TOPICS, CUSTOMER_LOG)])
    waiting, forgotten = iter(letters), iter(gone)
    with only_producer(connection, prefix + SETTLING_ID) as producer:
        desk = _Desk(producer, prefix, partitions, now, at)
        settled = read_settled(connection, prefix)
        while True:
            batch, stale = list(islice(waiting, MOST_AT_ONCE)), list(islice(forgotten, MOST_AT_ONCE))
            if not batch and not stale:
                return outcome
            with one_transaction(producer):
                for letter in batch:
                    if not again and deed_of(letter, settled) is not None:
                        outcome.settled_before += 1
                    elif not desk.has_topic_of(letter, deed):
                        outcome.without_topic += 1
                    else:
                        desk.settle(letter, deed, edited)
                        outcome.done += 1
                for letter_id in stale:
                    producer.produce(prefix + DEAD_LETTERS_SETTLED, key=letter_id.encode(), value=None, partition=0)
            told(outcome.done)


class _Desk(Struct, frozen=True):
    """What one command writes, and where it may."""

    producer: Producer
    prefix: str
    partitions: Mapping[str, int]
    """By topic, of those that there are."""
    now: Millis
    at: Millis | None

    def has_topic_of(self, letter: Letter, deed: Deed) -> bool:
        """Tell whether a letter came from where something can be put back, or nothing has to be."""
        log = self.prefix + CUSTOMER_LOG
        if letter.quarantine is not None or (letter.is_of_log and deed == "retried"):
            return letter.topic == log and letter.partition < self.partitions.get(log, 0)
        return deed == "discarded" or (letter.topic != log and letter.topic in self.partitions)

    def settle(self, letter: Letter, deed: Deed, edited: bytes | None) -> None:
        """Write what becomes of a letter, and that it does."""
        if letter.is_of_log:
            self._let_go(letter, deed)
        elif deed == "retried":
            self._put_back(letter, edited)
        value = encode_settled(Settled(deed=deed, at=self.now, digest=letter.digest))
        self.producer.produce(
            self.prefix + DEAD_LETTERS_SETTLED, key=letter.id.encode(), value=value, partition=0, timestamp=self.now
        )

    def _put_back(self, letter: Letter, edited: bytes | None) -> None:
        self.producer.produce(
            letter.topic,
            key=letter.key,
            value=letter.value if edited is None else edited,
            # A topic never has fewer partitions than it had; one that was made anew may.
            partition=letter.partition % self.partitions[letter.topic],
            timestamp=max(letter.at, 0),
            headers=list(letter.headers),
        )

    def _let_go(self, letter: Letter, deed: Deed) -> None:
        """Release a customer, with or without the record; one of hers that wasn't kept is put behind what was."""
        appended = [] if self.at is not None else [(APPENDED, pack_number(self.now))]
        if letter.quarantine is not None:
            release = Released(place=letter.quarantine, with_cause=deed == "retried")
            headers, value = [(LINK, encode_link(release))], b""
        elif deed == "retried":
            headers = [(name, text or b"") for name, text in letter.headers if name in {LINK, SEQUENCE}]
            value = letter.value or b""
        else:
            return
        self.producer.produce(
            letter.topic,
            key=letter.key,
            value=value,
            partition=letter.partition,
            timestamp=self.now if self.at is None else self.at,
            headers=[*headers, *appended],
        )


def _letter(message: Message) -> Letter:
    place = Place(message.topic() or "", message.partition() or 0, message.offset() or 0)
    return read_letter(place, message.timestamp()[1], message.key(), message.value(), _headers(message))


def _headers(message: Message) -> list[Header]:
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]
