"""What-if against two simulations: what differs is what they differ in, and no edit differs in nothing."""

import copy
import io
from collections import Counter
from collections.abc import Iterator

import msgspec
from hypothesis import event, given
from hypothesis import strategies as st

from agents.what_if import Change, WhatIf
from agents.world import LogRecord
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.events import Json
from schemas.instants import EARLIEST, HOUR_MS, Millis, format_instant, parse_instant
from schemas.linking import LINK, MergeOut, encode_link, log_records
from schemas.log import CatalogueMark, FinalMark, encode_event, encode_mark
from tests.journey import AT_ONCE, trigger, wait, workflow
from tests.property.test_decide import arrivals, few, once
from tests.strategies import BEGIN, UNTIL, Document, Line, as_file, definitions, histories
from tidings.event_file import Line as FileLine
from tidings.event_file import lines_of
from tidings.simulation import NextVersion, simulate

Send = dict[str, Json]
Difference = tuple[str, str]


def compiled(documents: list[Document], number: int = 1, at: Millis = EARLIEST) -> Catalogue:
    values: list[Json] = list(documents)
    return compile_catalogue(definitions_from_documents(values), number, activated_at=at)


def log(history: list[Line]) -> list[LogRecord]:
    """Return the log that a file of events makes, in the clock of the log."""
    records = [_mark(EARLIEST, encode_mark(CatalogueMark(number=1, rules_version=1, tzdata="x")))]
    for arrival in arrivals(history):
        value = encode_event(arrival.event)
        for key, link in log_records(arrival.event):
            headers = () if link is None else ((LINK, encode_link(link)),)
            body = b"" if isinstance(link, MergeOut) else value
            records.append(LogRecord(len(records), arrival.at, key, body, headers))
    return [*records, _mark(UNTIL, encode_mark(FinalMark()))]


def _mark(at: Millis, value: bytes) -> LogRecord:
    return LogRecord(0, at, None, value, ())


def what_if(
    first: list[Document], second: list[Document], history: list[Line], since: Millis | None = None
) -> WhatIf:  # fmt: skip
    before = compiled(first)

    def edit(number: int, at: Millis) -> Catalogue:
        values: list[Json] = list(second)
        earlier = {} if since is None else {1: before}
        return compile_catalogue(definitions_from_documents(values), number, earlier, activated_at=at)

    worlds = WhatIf(lambda _: before, edit, since)
    for record in log(history):
        worlds.take(record)
    worlds.finish()
    return worlds


def simulated(
    documents: list[Document], history: list[Line], versions: tuple[NextVersion, ...] = ()
) -> dict[str, Send]:
    out: list[bytes] = []
    simulate(compiled(documents), _lines(history), until=UNTIL, write=out.append, versions=versions)
    records = [msgspec.json.decode(line, type=Send) for line in out]
    return {str(record["send_id"]): record for record in records if record["record"] == "send"}


def _lines(history: list[Line]) -> Iterator[FileLine]:
    return lines_of(io.BytesIO(as_file(history)))


def differing(before: dict[str, Send], after: dict[str, Send]) -> Counter[Difference]:
    """Compare the sends of two simulations by themselves."""
    found: Counter[Difference] = Counter()
    for send_id in before.keys() | after.keys():
        old, new = before.get(send_id), after.get(send_id)
        if old is None or new is None:
            found["gone" if new is None else "added", send_id] += 1
        elif old["send_at"] != new["send_at"]:
            found["moved", send_id] += 1
        elif _contents(old) != _contents(new):
            found["changed", send_id] += 1
    return found


def _contents(send: Send) -> Send:
    return {name: value for name, value in send.items() if name not in {"workflow_version", "send_at", "expires_at"}}


def listed(changes: list[Change]) -> Counter[Difference]:
    return Counter((change.kind, change.send_id) for change in changes)


def quiet(history: list[Line]) -> list[Line]:
    """Leave out what answers messages."""
    channels = ("email_", "sms_", "push_", "social_")
    return [line for line in once(history) if isinstance(line, dict) and not str(line["type"]).startswith(channels)]


@few
@given(definitions(), histories(bad_lines=False), st.none() | st.integers(0, 100))
def test_no_edit_changes_nothing(documents: list[Document], history: list[Line], hours: int | None) -> None:
    """Whatever happens, opens and clicks included, and whenever the same definitions come into force again."""
    since = None if hours is None else BEGIN + hours * HOUR_MS
    documents, history = [*documents, *SURE], [*_addresses(history), *once(history)]
    worlds = what_if(documents, documents, history, since)
    assert worlds.changes() == []
    if since is None:
        assert worlds.sends[0] == worlds.sends[1] == len(simulated(documents, history))


@few
@given(definitions(), definitions(), histories(bad_lines=False), st.data())
def test_without_engagement_what_differs_is_the_difference_of_two_simulations(
    first: list[Document], second: list[Document], history: list[Line], data: st.DataObject
) -> None:
    history = [*_addresses(history), *quiet(history)]
    first, second = [*first, *SURE], [*second, *data.draw(st.sampled_from(([], SURE, LATER, REWORDED)))]
    before, after = simulated(first, history), simulated(second, history)
    worlds = what_if(first, second, copy.deepcopy(history))
    expected = differing(before, after)
    event(f"{min(len(expected), 5)} differ")
    assert listed(worlds.changes()) == expected
    assert worlds.sends == (len(before), len(after))


@few
@given(definitions(), definitions(), histories(bad_lines=False), st.data())
def test_with_engagement_certain_and_uncertain_differences_contain_it(
    first: list[Document], second: list[Document], history: list[Line], data: st.DataObject
) -> None:
    """Opens and clicks answer the sends of the first world, some of which the second never makes, or makes later."""
    history = [*_addresses(history), *once(history)]
    first, second = [*first, *SURE], [*second, *data.draw(st.sampled_from(([], SURE, LATER, REWORDED)))]
    sends = list(simulated(first, history).values())
    answered = [*history, *(_answer(send, number, data) for number, send in enumerate(sends[:20]))]
    answered.sort(key=_arrival)
    before, after = simulated(first, answered), simulated(second, answered)
    worlds = what_if(first, second, copy.deepcopy(answered))
    changes = worlds.changes()
    missed = differing(before, after).keys() - listed(changes).keys()
    event(f"certain {any(change.certain for change in changes)}")
    event(f"uncertain {any(not change.certain for change in changes)}")
    assert not missed


def _sure(*before: Document, text: str = "Sure") -> list[Document]:
    """Write a workflow that mails whoever does anything, whatever the caps and hours."""
    configuration: Document = {"template_id": "sure", "category": "transactional", "timing": AT_ONCE}
    steps: list[Document] = [*before, {"id": "sure-mail", "type": "email", "configuration": configuration}]
    on = [trigger(name) for name in ("signup", "page_viewed", "order_completed")]
    template: Document = {"kind": "template", "id": "sure", "content_template": f"<p>{text}</p>"}
    return [template, workflow(*steps, id="sure", on=on, allow_multiple_executions=True, category="transactional")]


SURE = _sure()
REWORDED = _sure(text="Certainly")
LATER = _sure(wait("wait", "sure-mail", duration_hours=2))


def _addresses(history: list[Line]) -> list[Line]:
    """Let everybody have an address from the beginning."""
    names = sorted({str(line["customer_id"]) for line in history if isinstance(line, dict) and line.get("customer_id")})
    return [
        {"event_id": f"address-{name}", "customer_id": name, "type": "customer_updated", "occurred_at": BEGIN,
         "properties": {"email": f"{name}@shop.example"}}
        for name in names
    ]  # fmt: skip


def _answer(send: Send, number: int, data: st.DataObject) -> Line:
    what = data.draw(st.sampled_from(("opened", "clicked", "unsubscribed")))
    at = format_instant(parse_instant(str(send["send_at"])) + data.draw(st.integers(1, 50)) * HOUR_MS)
    return {
        "event_id": f"answer-{number}",
        "customer_id": send["customer_id"],
        "type": f"{send['channel']}_{what}",
        "occurred_at": at,
        "received_at": at,
        "source": "email",
        "properties": {"send_id": send["send_id"]},
    }


def _arrival(line: Line) -> Millis:
    assert isinstance(line, dict)
    told = line.get("received_at") or line["occurred_at"]
    return told if isinstance(told, int) else parse_instant(str(told))
