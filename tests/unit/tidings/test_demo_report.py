"""The report of the demo."""

from tidings.demo.findings import Findings
from tidings.demo.report import sparkline
from tidings.demo.words import month_in_words, share
from tidings.printing import counted


def test_the_highest_bar_is_full_and_nothing_is_blank() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


def test_something_is_never_drawn_as_nothing() -> None:
    assert sparkline([1, 10_000]) == "▁█"


def test_months_without_a_send_stand_between_those_with_one() -> None:
    findings = Findings()
    findings.sends["w", "t", "1997-11"] += 1
    findings.sends["w", "t", "1998-02"] += 1

    assert findings.months() == ["1997-11", "1997-12", "1998-01", "1998-02"]


def test_an_empty_run_has_no_months_and_no_story() -> None:
    assert Findings().months() == []
    assert Findings().most_eventful() is None


def test_numbers_read_as_a_person_would_say_them() -> None:
    assert counted(1, "order") == "1 order"
    assert counted(2_000, "order") == "2,000 orders"
    assert month_in_words("1997-01") == "Jan 1997"
    assert share(1, 8) == "12.5 %"
    assert share(0, 0) == "-"
