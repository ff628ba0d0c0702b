"""A partition of the customer log as ingest and owner write it live, and the folds of it."""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence

import msgspec

from agents.counting import Counted
from agents.customers import CustomerFold
from journeys.catalogue import Catalogue
from schemas.events import Json
from schemas.instants import Millis
from schemas.linking import LINK, Link, MergeOut, encode_link, log_records
from schemas.log import APPENDED, CatalogueMark, Headers, Mark, Tick, encode_event, encode_mark, pack_number
from schemas.quarantines import LeftOut
from streams.fold import Output
from tests.journey import START, Document, compiled, event


class Taken(msgspec.Struct, frozen=True):
    """A record of the log."""

    offset: int
    timestamp: Millis
    key: bytes | None
    value: bytes | None
    headers: Headers


class Log:
    """A log as ingest and owner write it live, and the folds of it."""

    def __init__(self, *documents: Document, **defaults: object) -> None:
        self.catalogue: Catalogue = compiled(*documents, number=1, **defaults)  # type: ignore[arg-type]
        self.records: list[Taken] = []
        self._put(0, 0, None, encode_mark(CatalogueMark(number=1, rules_version=1, tzdata="x")))

    def publish(
        self, name: str, at: Millis, *, late: Millis = 0, customer: str | None = "ada", visitor: str | None = None,
        **properties: Json,
    ) -> None:  # fmt: skip
        """Append an event, so late; one that links two as a record for each."""
        made, _ = event(
            name,
            at=at,
            event_id=f"e{len(self.records)}",
            customer_id=customer,
            anonymous_id=visitor,
            properties={"email": f"{customer or visitor}@shop.example", **properties},
        )
        for key, link in log_records(made):
            value = b"" if isinstance(link, MergeOut) else encode_event(made)
            self._put(at, at + late, key, value, () if link is None else ((LINK, encode_link(link)),))

    def mark(self, mark: Mark, at: Millis, *, late: Millis = 0) -> None:
        """Append a mark, so late."""
        self._put(at, at + late, None, encode_mark(mark))

    def tick(self, at: Millis, *, late: Millis = 0) -> None:
        """Append a tick, so late."""
        self._put(at, at + late, None, encode_mark(Tick()))

    def _put(self, at: Millis, appended: Millis, key: bytes | None, value: bytes, first: Headers = ()) -> None:
        headers = (*first, (APPENDED, pack_number(START + appended)))
        self.records.append(Taken(len(self.records), START + at, key, value, headers))

    def folded(
        self, *, slices: int = 1_000, killed_after: frozenset[int] = frozenset()
    ) -> list[tuple[str, int, bytes]]:
        """Return what folding writes, by a fold that is restored from what was committed after some of its parts."""
        changelog: list[tuple[bytes, bytes | None]] = []
        written: list[tuple[str, int, bytes]] = []
        parts, position, ends = 0, 0, False
        while not ends:
            fold = CustomerFold("t.", self._load, 1)
            fold.restore(changelog)
            position = fold.next_offset() or 0
            ends = True
            while position < len(self.records):
                given_now = self.records[position : position + slices]
                asyncio.run(fold.prepare(given_now))
                for part in fold.fold(given_now):
                    written += [(out.topic, out.timestamp - START, out.value) for out in part.outputs]
                    changelog += fold.changes()
                    parts, position = parts + 1, part.next_offset
                    if parts in killed_after:
                        ends = False
                        break
                if not ends:
                    break
        return written

    def link(self, key: bytes, link: Link, at: Millis) -> None:
        """Append a record that has a link and no value."""
        self._put(at, at, key, b"", ((LINK, encode_link(link)),))

    def answer(self, behind: int = 0, left_out: LeftOut | None = None) -> None:
        """Put what customers and places tell each other into the log, each so many records behind where it was said."""
        fold, came, self.records = self.empty_fold(left_out=left_out), deque(self.records), []
        said: deque[tuple[int, Output]] = deque()
        while came or said:
            if said and (not came or said[0][0] <= len(self.records)):
                output = said.popleft()[1]
                taken = Taken(len(self.records), output.timestamp, output.key, output.value, output.headers)
            else:
                taken = msgspec.structs.replace(came.popleft(), offset=len(self.records))
            self.records.append(taken)
            asyncio.run(fold.prepare([taken]))
            for part in fold.fold([taken]):
                letters = [output for output in part.outputs if output.topic == "t.customer-log"]
                said.extend((len(self.records) + behind, letter) for letter in letters)

    def own(self, until: Millis, *, died_at: Collection[Millis] = ()) -> None:
        """Put ticks into the log as its owner does who never sleeps long; what comes in between is put where it came.

        Args:
            until: where the clock stands in the end.
            died_at: when another owner takes over, who knows nothing of ticks on their way.
        """
        came, self.records = deque(self.records), []
        fold, deaths = self._another([]), deque(sorted(died_at))
        while True:
            next_time = fold.next_time()
            waits = (came[0].timestamp if came else None, next_time, START + deaths[0] if deaths else None)
            clock = min((at for at in waits if at is not None), default=None)
            if clock is None or clock > START + until:
                break
            if deaths and START + deaths[0] <= clock:
                deaths.popleft()
                # The tick that the one before has written is in the log, and not yet folded.
                self._write_tick(fold, clock)
                fold = self._another(self.records)
            elif came and came[0].timestamp <= clock:
                self._take_up(fold, msgspec.structs.replace(came.popleft(), offset=len(self.records)))
            elif (tick := self._write_tick(fold, clock)) is not None:
                self._take_up(fold, tick)

    def fold_all(self) -> CustomerFold:
        """Fold the log once, and return what did."""
        return self._another(self.records)

    def empty_fold(self, counted: Counted | None = None, left_out: LeftOut | None = None) -> CustomerFold:
        """Return a fold that knows nothing yet, counts where it is told, and leaves out what it is told."""
        return CustomerFold("t.", self._load, 1, counted=counted, left_out=left_out)

    def _another(self, records: Sequence[Taken]) -> CustomerFold:
        return self.fold_into(self.empty_fold(), records)

    def fold_into(self, fold: CustomerFold, records: Sequence[Taken]) -> CustomerFold:
        """Have a fold take records of this log, and return it."""
        asyncio.run(fold.prepare(()))
        for record in records:
            self._fold_one(fold, record)
        return fold

    def _write_tick(self, fold: CustomerFold, clock: Millis) -> Taken | None:
        output = fold.time_record(clock, clock)
        if output is None:
            return None
        assert fold.next_time() is None
        assert fold.time_record(clock + 1, clock + 1) is None
        tick = Taken(len(self.records), output.timestamp, output.key, output.value, output.headers)
        self.records.append(tick)
        return tick

    def _take_up(self, fold: CustomerFold, record: Taken) -> None:
        if record.offset == len(self.records):
            self.records.append(record)
        self._fold_one(fold, record)

    @staticmethod
    def _fold_one(fold: CustomerFold, record: Taken) -> None:
        asyncio.run(fold.prepare([record]))
        for _ in fold.fold([record]):
            pass

    async def _load(self, number: int) -> Catalogue:
        if number == self.catalogue.number:
            return self.catalogue
        return msgspec.structs.replace(self.catalogue, number=number, predecessors={1: self.catalogue})

    def sent_at(self) -> list[Millis]:
        """Return when mails went out, in order."""
        return [at for topic, at, _ in self.folded() if topic == "t.email-sends"]
