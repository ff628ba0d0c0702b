"""What a run amounted to, counted record by record: sends, refusals, splits, and whose story is worth telling."""

import re
from collections import Counter
from typing import Final

import msgspec
from msgspec import Struct, field

from schemas.events import Json

Month = str
"""As `1997-01`, in UTC."""

_COUNTED: Final = re.compile(rb'"kind":"(?:trigger_refused|send_suppressed|send_deferred)"')
_KIND_WITHIN: Final = 200
"""In how many of its first bytes a decision says its kind, as customers are numbered here."""


class Record(Struct, kw_only=True):
    """The fields of a record that are looked at here; a send has no kind, a decision no subject."""

    record: str
    customer_id: str = ""
    at: str = ""
    kind: str = ""
    workflow_id: str | None = None
    execution_id: str | None = None
    step_id: str | None = None
    trigger_id: str | None = None
    reason: str | None = None
    detail: dict[str, Json] | None = None
    send_at: str = ""
    subject: str | None = None
    template_id: str = ""
    variants: dict[str, str] = {}


class _Brief(Struct, kw_only=True):
    """What counting needs of a record."""

    customer_id: str = ""
    kind: str = ""
    workflow_id: str | None = None
    reason: str | None = None
    send_at: str = ""
    template_id: str = ""
    variants: dict[str, str] = {}


class Course(Struct):
    """What one customer went through, in short."""

    workflows: set[str] = field(default_factory=set)
    refusals: set[str] = field(default_factory=set)
    records: int = 0


class Findings(Struct):
    """Counts over all records of a run."""

    sends: Counter[tuple[str, str, Month]] = field(default_factory=Counter)
    """By workflow, template and month."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Triggers that started nothing, by workflow and reason."""
    suppressed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Messages that were due and didn't go out, by workflow and reason."""
    deferred: Counter[str] = field(default_factory=Counter)
    """Messages that waited for a better hour, by workflow."""
    variants: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Sends behind a split, by workflow, split and variant."""
    courses: dict[str, Course] = field(default_factory=dict)
    """By customer."""

    def take(self, record: bytes) -> None:
        """Count one record, a line of what `run` writes."""
        if record.startswith(b'{"record":"send"'):
            self._take_send(_decode(record))
        elif _COUNTED.search(record, 0, _KIND_WITHIN):
            # Most decisions are none of these; decoding all of them would take longer than counting.
            self._take_decision(_decode(record))

    def _take_send(self, send: _Brief) -> None:
        workflow_id = send.workflow_id or ""
        self.sends[workflow_id, send.template_id, send.send_at[:7]] += 1
        for split, variant in send.variants.items():
            self.variants[workflow_id, split, variant] += 1
        self._course(send.customer_id).workflows.add(workflow_id)

    def _take_decision(self, decision: _Brief) -> None:
        workflow_id, reason = decision.workflow_id or "", decision.reason or ""
        match decision.kind:
            case "trigger_refused":
                self.refused[workflow_id, reason] += 1
            case "send_suppressed":
                self.suppressed[workflow_id, reason] += 1
            case "send_deferred":
                self.deferred[workflow_id] += 1
                return
            case _:
                return
        self._course(decision.customer_id).refusals.add(reason)

    def _course(self, customer_id: str) -> Course:
        course = self.courses.get(customer_id)
        if course is None:
            course = self.courses[customer_id] = Course()
        course.records += 1
        return course

    def months(self) -> list[Month]:
        """Return every month from the first send to the last."""
        months = {month for _, _, month in self.sends}
        if not months:
            return []
        month, last, found = min(months), max(months), []
        while month <= last:
            found.append(month)
            year, number = int(month[:4]), int(month[5:])
            month = f"{year + number // 12}-{number % 12 + 1:02}"
        return found

    def most_eventful(self) -> str | None:
        """Return the customer with the most workflows, then kinds of refusals, then the shortest story."""
        return min(
            self.courses,
            key=lambda customer: (
                -len(self.courses[customer].workflows),
                -len(self.courses[customer].refusals),
                self.courses[customer].records,
                customer,
            ),
            default=None,
        )


_decode: Final = msgspec.json.Decoder(_Brief).decode
decode_record: Final = msgspec.json.Decoder(Record).decode
