"""A customer for whom the rules raise is set aside: she alone, at the same place in every fold, until she is released."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import pytest

from agents import engine, identity
from agents.customers import CustomerFold
from agents.quarantine import MOST_SHUT, RulesRaised, knowing
from journeys.decide import Due, decide
from schemas.customer import Customer
from schemas.dead_letters import HEADERS
from schemas.errors import TidingsError
from schemas.events import Event
from schemas.instants import HOUR_MS, MINUTE_MS, Millis
from schemas.linking import Released
from schemas.log import Command
from schemas.quarantines import LeftOut, decode_fault, decode_place, encode_place
from schemas.waiting import MOST_HELD
from streams.fold import Output
from tests.journey import mail, trigger, wait, workflow
from tests.live_log import Log

SERIES: Final = (
    workflow(
        mail("mail", "p"),
        wait("p", "later", duration_hours=1),
        mail("later"),
        id="series",
        allow_multiple_executions=True,
    ),
    workflow(mail("viewed"), id="viewed", on=[trigger("page_viewed")], allow_multiple_executions=True),
)
Broken = Callable[[Customer, object], bool]


class Written(msgspec.Struct, frozen=True):
    """A record that a fold has written."""

    topic: str
    key: bytes | None
    at: Millis
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Defect:
    """Rules that raise where they are told to, and are right elsewhere."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.is_broken: Broken = lambda _who, _what: False
        for module in (engine, identity):
            patch.setattr(module, "decide", self._decide)

    def _decide(self, customer: Customer, what: object, *rest: object) -> object:
        effects = decide(customer, what, *rest)  # type: ignore[arg-type]
        if self.is_broken(customer, what):
            msg = "ada@shop.example is no number"
            raise ArithmeticError(msg)
        return effects


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> Defect:
    return Defect(monkeypatch)


def is_bad(what: object) -> bool:
    return isinstance(what, Event) and b'"bad":true' in bytes(what.properties)


def bad_event(customer: Customer, what: object) -> bool:
    return is_bad(what) and customer.customer_id == "ada"


def written(log: Log, places: LeftOut | None = None, *, slices: int = 1_000) -> list[Written]:
    """Return what is written by whoever folds a log and begins again where the rules raise."""
    return knowing(lambda known: _fold(log, known, slices)[1], places)


def folded(log: Log, places: LeftOut | None = None) -> CustomerFold:
    return knowing(lambda known: _fold(log, known, 1_000)[0], places)


def _fold(log: Log, places: LeftOut, slices: int) -> tuple[CustomerFold, list[Written]]:
    fold = log.empty_fold(left_out=places)
    found: list[Written] = []
    for start in range(0, len(log.records), slices):
        records = log.records[start : start + slices]
        asyncio.run(fold.prepare(records))
        for part in fold.fold(records):
            found += map(_written, part.outputs)
    return fold, found


def _written(output: Output) -> Written:
    return Written(output.topic, output.key, output.timestamp, output.value, output.headers)


def of(records: list[Written], topic: str) -> list[Written]:
    return [one for one in records if one.topic == f"t.{topic}"]


def places_in(records: list[Written]) -> LeftOut:
    """Read the places as those who fold again do."""
    found: dict[int, dict[tuple[bytes, str], object]] = {}
    for one in of(records, "quarantines"):
        place = decode_place(one.key or b"")
        found.setdefault(place.offset, {})[place.key, place.turn] = decode_fault(one.value)
    return found  # type: ignore[return-value]


def decisions(records: list[Written], kind: str) -> list[dict[str, object]]:
    decided = [msgspec.json.decode(one.value) for one in of(records, "decisions")]
    return [one for one in decided if one["kind"] == kind]


def letters(records: list[Written]) -> list[dict[str, str]]:
    return [
        {name: text.decode() for name, text in one.headers if name in HEADERS} for one in of(records, "dead-letters")
    ]


def three_days(*, bad: bool = True) -> Log:
    """Ada and Bob sign up and look at pages; one of Ada's events is bad."""
    log = Log(*SERIES)
    for customer in ("ada", "bob"):
        log.publish("signup", 0, customer=customer)
    log.publish("page_viewed", MINUTE_MS, customer="ada", bad=bad)
    log.publish("page_viewed", MINUTE_MS, customer="bob", bad=True)
    log.publish("page_viewed", 2 * MINUTE_MS, customer="ada")
    log.tick(2 * HOUR_MS)
    log.publish("page_viewed", 3 * HOUR_MS, customer="bob")
    return log


def release(log: Log, at: Millis, place: bytes | str, *, with_cause: bool = True, customer: str = "ada") -> None:
    named = place if isinstance(place, str) else place.decode()
    log.link(f"c:{customer}".encode(), Released(place=named, with_cause=with_cause), at)


def the_place(records: list[Written]) -> bytes:
    [found] = of(records, "quarantines")
    return found.key or b""


@pytest.mark.parametrize("slices", [1, 2, 1_000])
def test_she_alone_is_set_aside(defect: Defect, slices: int) -> None:
    log = three_days()
    without = [one for one in written(log) if one.key == b"bob"]
    defect.is_broken = bad_event
    found = written(log, slices=slices)
    assert [one for one in found if one.key == b"bob"] == without
    [told] = decisions(found, "quarantined")
    assert told["reason"] == "rules_raised"
    assert told["detail"]["error"] == "ArithmeticError"  # type: ignore[index]
    assert told["detail"]["event_id"] == "e3"  # type: ignore[index]
    assert [one.at for one in of(found, "email-sends") if one.key == b"ada"] == [log.records[1].timestamp]


def test_what_it_was_goes_to_the_dead_letters_without_what_the_exception_says(defect: Defect) -> None:
    defect.is_broken = bad_event
    log = three_days()
    found = written(log)
    [letter] = of(found, "dead-letters")
    assert (letter.key, letter.value) == (b"c:ada", log.records[3].value)
    [told] = letters(found)
    assert (told["topic"], told["partition"], told["offset"]) == ("t.customer-log", "0", "3")
    assert told["error_class"] == "rules"
    assert "ArithmeticError" in told["reason"]
    assert all(b"is no number" not in one.value for one in found)


def test_who_folds_again_with_better_rules_believes_what_was_left_out(defect: Defect) -> None:
    defect.is_broken = bad_event
    found = written(three_days())
    defect.is_broken = lambda _who, _what: False
    assert written(three_days(), places_in(found)) == found


@pytest.mark.parametrize("dies_at", range(8))
def test_a_crash_at_any_record_changes_nothing(defect: Defect, dies_at: int) -> None:
    defect.is_broken = bad_event
    log, found = three_days(), list[Written]()
    places = places_in(written(log))
    fold = log.empty_fold(left_out=places)
    for number, record in enumerate(log.records):
        asyncio.run(fold.prepare([record]))
        for part in fold.fold([record]):
            found += map(_written, part.outputs)
        if number == dies_at:
            # Whoever comes behind the place needs nobody to tell her of it.
            changes, fold = fold.changes(), log.empty_fold(left_out=places if number < 3 else None)
            fold.restore(changes)
            assert fold.next_offset() == number + 1
    assert found == written(log)


def test_once_the_rules_are_mended_she_is_released_and_has_what_the_others_had(defect: Defect) -> None:
    defect.is_broken = bad_event
    log = three_days()
    found = written(log)
    defect.is_broken = lambda _who, _what: False
    release(log, 4 * HOUR_MS, the_place(found))
    mended = written(log, places_in(found))
    assert mended[: len(found)] == found
    mails = [one for one in of(mended[len(found) :], "email-sends") if one.key == b"ada"]
    # Two for the pages, one an hour behind her signup; all of them now, none before.
    assert [one.at - log.records[0].timestamp for one in mails] == [4 * HOUR_MS] * 3
    templates = [msgspec.json.decode(one.value)["template_id"] for one in mails]
    assert sorted(templates) == ["hello"] * 3 or len(templates) == 3
    assert not folded(log, places_in(found)).is_held(b"c:ada")


def test_discarded_it_is_as_if_the_record_had_never_come(defect: Defect) -> None:
    defect.is_broken = bad_event
    log = three_days()
    found = written(log)
    release(log, 4 * HOUR_MS, the_place(found), with_cause=False)
    released = written(log, places_in(found))
    assert len([one for one in of(released, "email-sends") if one.key == b"ada"]) == 3
    assert len(decisions(released, "quarantined")) == 1


def test_released_under_the_same_rules_she_is_quarantined_again_with_a_place_of_its_own(defect: Defect) -> None:
    defect.is_broken = bad_event
    log = three_days()
    first = the_place(written(log))
    release(log, 4 * HOUR_MS, first)
    again = written(log)
    assert len(of(again, "quarantines")) == len(decisions(again, "quarantined")) == 2
    assert again[: len(written(three_days()))] == written(three_days())
    second = of(again, "quarantines")[-1].key or b""
    assert second != first
    # The place before means nothing any more.
    release(log, 5 * HOUR_MS, first)
    assert written(log) == again
    release(log, 6 * HOUR_MS, second, with_cause=False)
    assert not folded(log).is_held(b"c:ada")


def test_a_timer_on_which_the_rules_raise_leaves_those_before_it_and_behind_it_alone(defect: Defect) -> None:
    log = three_days()
    right = [one for one in written(log) if one.key == b"bob"]
    defect.is_broken = lambda who, what: isinstance(what, Due) and who.customer_id == "ada"
    found = written(log)
    assert [one for one in found if one.key == b"bob"] == right
    [letter] = letters(found)
    assert "due" in letter["reason"]
    [place] = of(found, "quarantines")
    assert decode_place(place.key or b"").turn.startswith("due=")
    defect.is_broken = lambda _who, _what: False
    release(log, 4 * HOUR_MS, place.key or b"")
    mails = [one for one in of(written(log, places_in(found)), "email-sends") if one.key == b"ada"]
    assert mails[-1].at - log.records[0].timestamp == 4 * HOUR_MS


def test_a_command_on_which_the_rules_raise_reaches_the_others(defect: Defect) -> None:
    log = three_days()
    log.records = log.records[:-2]
    log.mark(Command(action="cancel", workflow_id="series", command_id="c1"), 10 * MINUTE_MS)
    defect.is_broken = lambda who, what: isinstance(what, Command) and who.customer_id == "ada"
    found = written(log)
    ended = [one["customer_id"] for one in decisions(found, "execution_ended") if one["reason"] == "cancelled"]
    assert ended == ["bob"]
    [place] = of(found, "quarantines")
    assert decode_place(place.key or b"").turn == "command"


def test_behind_the_most_that_is_kept_what_comes_goes_to_the_dead_letters(defect: Defect) -> None:
    defect.is_broken = bad_event
    log = Log(*SERIES)
    log.publish("page_viewed", 0, bad=True)
    for number in range(MOST_HELD + 2):
        log.publish("page_viewed", number + 1)
    told = letters(written(log))
    assert [one["error_class"] for one in told] == ["rules", *["held_too_many"] * 3]


def test_who_is_deleted_meanwhile_leaves_nothing_behind(defect: Defect) -> None:
    defect.is_broken = bad_event
    log = three_days()
    log.publish("customer_deleted", 4 * HOUR_MS)
    fold = folded(log)
    assert not fold.is_held(b"c:ada")
    release(log, 5 * HOUR_MS, the_place(written(log)))
    assert not [one for one in written(log) if one.key == b"ada" and one.at >= log.records[-1].timestamp]


@pytest.mark.parametrize("bad", ["ada", "v"])
@pytest.mark.parametrize("behind", [0, 3])
def test_whoever_of_two_is_quarantined_their_merge_goes_on(defect: Defect, bad: str, behind: int) -> None:
    """The absorbed answers from the state as it is; the survivor takes her up when she is released."""
    defect.is_broken = lambda _who, what: is_bad(what)
    log = knowing(lambda known: answered(a_merge(bad), behind, known))
    before = written(log)
    places = places_in(before)
    assert len(decisions(before, "quarantined")) == 1
    defect.is_broken = lambda _who, _what: False
    log = a_merge(bad)
    log.link(b"c:ada" if bad == "ada" else b"a:v", Released(place=the_place(before).decode()), HOUR_MS)
    log.answer(behind, left_out=places)
    after = written(log, places)
    fold = folded(log, places)
    assert not fold.is_held(b"c:ada")
    assert not fold.is_held(b"a:v")
    assert sum(b'"step_id":"viewed"' in one.value for one in of(after, "email-sends")) == 2
    assert [one["customer_id"] for one in decisions(after, "customer_merged")] == ["a:v", "ada"]


def answered(log: Log, behind: int, places: LeftOut) -> Log:
    log.answer(behind, left_out=places)
    return log


def a_merge(bad: str) -> Log:
    """Ada turns out to be the visitor v; of one of them an event came before that is bad, of the visitor one behind."""
    log = Log(*SERIES)
    log.publish("signup", 0)
    log.publish("signup", 1, customer=None, visitor="v")
    if bad == "ada":
        log.publish("page_viewed", MINUTE_MS, bad=True)
    else:
        log.publish("page_viewed", MINUTE_MS, customer=None, visitor="v", bad=True)
    log.publish("identify", 2 * MINUTE_MS, visitor="v")
    log.publish("page_viewed", 3 * MINUTE_MS, customer=None, visitor="v")
    return log


def test_rules_that_raise_for_too_many_are_not_a_matter_of_customers(defect: Defect) -> None:
    defect.is_broken = lambda _who, what: is_bad(what)
    log = Log(*SERIES)
    for number in range(MOST_SHUT + 1):
        log.publish("page_viewed", number, customer=f"c{number}", bad=True)
    with pytest.raises(TidingsError, match="more customers than"):
        written(log)
    log.records.pop()
    assert len(of(written(log), "quarantines")) == MOST_SHUT


def test_a_place_that_was_left_out_and_raises_all_the_same_ends_it(defect: Defect) -> None:
    """As where what is left out doesn't lead away from the rules; else it would go on for ever."""
    defect.is_broken = bad_event
    log = three_days()
    fold = log.empty_fold()
    asyncio.run(fold.prepare(log.records))
    with pytest.raises(RulesRaised) as raised:
        for _ in fold.fold(log.records):
            pass
    other = log.empty_fold()
    other.leave_out([raised.value])
    with pytest.raises(TidingsError):
        other.leave_out([raised.value])


def test_a_place_has_a_name_that_a_person_can_read() -> None:
    for name in (b"17::c:ada", b"17:due=1767258000000:a:x:y", b"0:kept=3:c:"):
        assert encode_place(decode_place(name)) == name
    for name in (b"", b"x::c:ada", b"17:c"):
        with pytest.raises(ValueError, match=r"invalid literal|not enough values"):
            decode_place(name)
