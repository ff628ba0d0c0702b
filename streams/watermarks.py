"""How far sources have been read, told to whoever may not be ahead of it.

The reader of sources publishes, again and again, up to which instant everything that was published to its partitions
is in the log. What it says is a fact about the past, so it never becomes wrong: whoever died, or lost the partitions,
has said the truth, and his last word holds until somebody says more. A record's key is the set of partitions, so that
compaction keeps the last word about each set; of the words about one partition the latest counts.

Two clocks are in a word: the reader's, which may be wrong, and the broker's, which appends it (`LogAppendTime`). It was
true so long before the append as it took to say it, so where the reader's clock is ahead the broker's bounds it.
"""

from collections.abc import Iterable, Mapping

import msgspec
from faust.types import TP


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader of sources says, in epoch milliseconds of its clock."""

    read_to: int
    """Everything published before is in the log."""
    said_at: int


def encode_partitions(partitions: Iterable[TP]) -> bytes:
    """Name a set of partitions, always in the same way: JSON, by topic."""
    named: dict[str, list[int]] = {}
    for topic, partition in sorted(partitions):
        named.setdefault(topic, []).append(partition)
    return msgspec.json.encode(named)


def encode_word(word: Word) -> bytes:
    """Encode a word as the value of its record: JSON, so that a person with a Kafka tool can read it."""
    return msgspec.json.encode(word)


class Watermarks:
    """What has been said so far about each partition."""

    def __init__(self) -> None:
        """Know nothing."""
        self._read_to: dict[TP, int] = {}

    def take(self, key: bytes, value: bytes, appended: int) -> None:
        """Take the next record; one that is no word is passed over.

        Args:
            key: names the partitions.
            value: the word.
            appended: the broker's clock at the append, epoch milliseconds.
        """
        try:
            named = msgspec.json.decode(key, type=dict[str, list[int]])
            word = msgspec.json.decode(value, type=Word)
        except msgspec.MsgspecError:
            return
        read_to = min(word.read_to, appended - max(0, word.said_at - word.read_to))
        for topic, partitions in named.items():
            for partition in partitions:
                self._read_to[TP(topic, partition)] = read_to

    def least(self, partitions: frozenset[TP]) -> int | None:
        """Return up to when all of these, and all that were named, are read; None while one isn't known."""
        if not partitions <= self._read_to.keys():
            return None
        return min(self._read_to.values(), default=None)


class _Lane:
    """One partition of sources: how far it is in the log, and where it ended when it was asked."""

    def __init__(self, start: int) -> None:
        self.flushed = start
        self.read_to: int | None = None
        self.asked: list[tuple[int, int]] = []
        """When its end was asked, and where it was; oldest first, only those that aren't reached."""

    def settle(self) -> None:
        reached = 0
        for at, end in self.asked:
            if end > self.flushed:
                break
            self.read_to = at
            reached += 1
        del self.asked[:reached]


MOST_ASKED = 64


class ReadTo:
    """Up to when the partitions of one assignment are read, by their ends and not by what their records say.

    A record's timestamp is its producer's: one that lies in 1997, or in 2099, says nothing about what is published
    behind it. So the ends are asked for, and once what stood before an end is in the log, everything that was published
    when it was asked is.
    """

    def __init__(self, starts: Mapping[TP, int]) -> None:
        """Begin at the offsets from which on an assignment reads; nothing is known yet."""
        self._lanes = {tp: _Lane(start) for tp, start in starts.items()}

    def ask(self, at: int, ends: Mapping[TP, int]) -> None:
        """Note where the partitions end.

        Args:
            at: the clock before the question, epoch milliseconds.
            ends: of each partition the offset behind its last record.
        """
        for tp, end in ends.items():
            asked = self._lanes[tp].asked
            if asked and asked[-1][1] == end:
                asked.pop()
            elif len(asked) >= MOST_ASKED:
                # Far behind: every second one is enough to tell how far.
                del asked[1::2]
            asked.append((at, end))

    def flush(self, positions: Mapping[TP, int]) -> None:
        """Note of partitions the first offset that isn't surely in the log."""
        for tp, position in positions.items():
            self._lanes[tp].flushed = position

    def least(self) -> int | None:
        """Return up to when all partitions are read; None while that isn't known of one."""
        least: int | None = None
        for lane in self._lanes.values():
            lane.settle()
            if lane.read_to is None:
                return None
            least = lane.read_to if least is None else min(least, lane.read_to)
        return least
