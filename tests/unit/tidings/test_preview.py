"""`tidings preview`: what somebody would get, and in a sentence what stands in its way."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tidings import cli

WELCOME = Path(__file__).parents[3] / "examples" / "welcome"
SHOP = WELCOME.parent / "shop"
LIQUID = """
kind: template
id: order
engine: liquid
subject_template: "{{ trigger.items | size }} things"
content_template: "<p>{% for item in trigger.items %}{{ item.name }};{% endfor %}{{ plan }}</p>"
personalization_fields: [plan]
---
kind: template
id: broken
engine: liquid
content_template: "{{ trigger.total | divided_by: 0 }}"
---
kind: template
id: ping
channel: sms
content_template: "Hi {first_name}\\x1b[2J"
---
{name: w, triggers: [{type: transactional, conditions: {event_type: order_completed}}], steps: [{id: a, type: email, configuration: {template_id: order}}]}
"""

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Return a function that previews and returns exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def say(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tidings", "preview", *words])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        return code, out, err

    return say


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with Liquid, a broken template, and one for sms."""
    (tmp_path / "all.yaml").write_text(LIQUID)
    (tmp_path / "events.ndjson").write_text(
        '{"event_id":"1","customer_id":"bob","type":"order_completed","occurred_at":"2026-03-01T00:00:00Z",'
        '"properties":{"email":"bob@shop.example","items":[{"name":"Soap"},{"name":"<b>"}]}}\n'
        '{"event_id":"2","customer_id":"bob","type":"page_viewed","occurred_at":"2026-03-01T01:00:00Z"}\n'
        "not an event\n"
    )
    return tmp_path


def test_a_template_is_shown_as_a_made_up_customer_would_get_it(say: Say, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, out, err = say("welcome_template_001", "--definitions", str(WELCOME), "--html", str(page))
    assert (code, err) == (0, f"The HTML is in {page}.\n")
    assert out.startswith(
        "From: Fernworks <hello@fernworks.example>\nTo: ada@example.com\nSubject: Welcome aboard, Ada\n\nHello Ada,\n"
    )
    assert "<h1>Hello Ada,</h1>" in page.read_text()


def test_a_customer_of_a_file_is_shown_with_the_event_that_starts_the_workflow(say: Say, folder: Path) -> None:
    code, out, err = say(
        *("order", "--definitions", str(folder), "--events", str(folder / "events.ndjson"), "--customer", "bob"),
        *("--attributes", '{"plan": "pro"}'),
    )
    assert (code, err) == (0, "")
    assert out == "To: bob@shop.example\nSubject: 2 things\n\nSoap;<b>;pro\n"


def test_what_has_no_value_and_what_would_hold_it_back_is_told(say: Say, folder: Path) -> None:
    code, out, err = say("order", "--definitions", str(folder), "--properties", '{"items": [{"name": 1}]}')
    assert code == 0
    assert "1 things" in out
    assert err == "It wouldn't go out: plan has no value (missing_personalization).\n"
    assert "No value for trigger_items" in say("shop_thank_you", "--definitions", str(SHOP))[2]


def test_nothing_of_a_value_reaches_the_terminals_controls(say: Say, folder: Path) -> None:
    code, out, _ = say("ping", "--definitions", str(folder))
    assert code == 0
    assert out == "To: +15550100\n\nHi Ada�[2J\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ordr",), "there is no template 'ordr'; did you mean 'order'?"),
        (("zzz",), "there is no template 'zzz'; there are broken, order, ping"),
        (("ping", "--html", "x.html"), "--html: ping is for sms, which has text alone"),
        (("order", "--html", "/nowhere/x.html"), "can't write the HTML to /nowhere/x.html: No such file"),
        (("broken", "--properties", '{"total": 1}'), "broken can't be rendered for sample: line 1: divided_by"),
        (("order", "--events", "/nowhere", "--customer", "b"), "can't read the events in /nowhere"),
        (
            ("order", "--events", "EVENTS", "--customer", "bop"),
            "holds no event of the customer 'bop'; it has bob",
        ),
    ],
)
def test_what_it_cannot_use_is_said_in_a_sentence(
    say: Say, folder: Path, words: tuple[str, ...], sentence: str
) -> None:
    given = [str(folder / "events.ndjson") if word == "EVENTS" else word for word in words]
    code, out, err = say(*given, "--definitions", str(folder))
    assert code == 1
    assert sentence in err
    assert "Traceback" not in out + err
