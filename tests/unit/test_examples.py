"""The examples: each is valid without a warning, passes its own tests, and reaches whom its events say."""

import io
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from journeys.catalogue import compile_catalogue
from journeys.templates import compile_template, render
from schemas.definitions import Definitions
from schemas.events import Json
from schemas.instants import parse_instant
from schemas.problems import sentence
from tidings.checking import run_test
from tidings.definitions_folder import LoadResult, load_folder
from tidings.event_file import read_lines
from tidings.simulation import simulate

EXAMPLES = Path(__file__).parents[2] / "examples"
TESTED = sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "tests.yaml").exists())

REACHED: dict[str, dict[str, list[str]]] = {
    "browse-abandonment": {"ada": ["browse_still_curious"]},
    "cart-abandonment": {
        "ada": ["cart_reminder", "cart_last_reminder"],
        "cleo": ["cart_reminder", "cart_help"],
        "dora": ["cart_reminder"],
    },
    "post-purchase": {
        "ada": ["purchase_thanks", "purchase_thanks", "purchase_care", "purchase_review", "purchase_apology"],
        "bram": ["purchase_thanks", "purchase_apology"],
    },
    "win-back": {"ada": ["win_back_hello", "win_back_present"], "bram": ["win_back_hello"]},
    "trial-ending": {"ada": ["trial_ending_soon", "trial_last_day", "trial_farewell"], "bram": ["trial_ending_soon"]},
    "renewal": {
        "ada": ["renewal_notice", "renewal_nothing_to_do"],
        "bram": ["renewal_notice", "renewal_please_renew"],
        "cleo": ["renewal_notice"],
    },
    "birthday": {"ada": ["birthday_congratulations"], "bram": ["birthday_congratulations"]},
    "re-engagement": {
        "ada": ["re_engagement_still_there", "re_engagement_last_call"],
        "bram": ["re_engagement_still_there", "re_engagement_stay"],
    },
    "lead-nurturing": {
        "ada": ["lead_guide", "lead_personal"],
        "bram": ["lead_guide", "lead_case_study"],
        "cleo": ["lead_guide", "lead_short_tip"],
    },
    "first-mail-experiment": {
        "ada": ["first_story", "first_offer"],
        "dora": ["first_question"],
        "nora": ["first_question", "first_offer"],
    },
    "vip": {"ada": ["vip_welcome", "vip_thanks"], "bram": ["vip_welcome", "vip_reminder"]},
    "multi-channel-reminder": {
        "ada": ["payment_email", "payment_push", "payment_sms"],
        "bram": ["payment_email"],
        "cleo": ["payment_email"],
    },
}
"""Per customer of the example's events, the templates of what she is sent, in order."""
UNTIL = parse_instant("2026-06-01T00:00:00Z")


def loaded(name: str) -> tuple[LoadResult, Definitions]:
    result = load_folder(EXAMPLES / name)
    assert [sentence(problem) for problem in result.problems] == []
    assert result.definitions is not None
    return result, result.definitions


@pytest.mark.parametrize("name", sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()))
def test_an_example_is_valid_without_a_warning_and_told_of(name: str) -> None:
    result, _ = loaded(name)
    assert [sentence(warning) for warning in result.warnings] == []
    assert f"[{name}]({name})" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("name", TESTED)
def test_an_example_passes_its_own_tests(name: str) -> None:
    result, definitions = loaded(name)
    catalogue = compile_catalogue(definitions, number=1)
    assert result.tests
    assert {test.id: list(run_test(test, catalogue, definitions).complaints) for test in result.tests} == {
        test.id: [] for test in result.tests
    }


@pytest.mark.parametrize("name", sorted(REACHED))
def test_the_events_of_an_example_reach_whom_they_should(name: str) -> None:
    _, definitions = loaded(name)
    records = io.BytesIO()
    lines = read_lines(EXAMPLES / name / "events.ndjson")
    tally = simulate(compile_catalogue(definitions, number=1), lines, until=UNTIL, write=records.write)
    reached: dict[str, list[str]] = defaultdict(list)
    for line in records.getvalue().splitlines():
        record: dict[str, Json] = msgspec.json.decode(line)
        if record["record"] == "send":
            reached[str(record["customer_id"])].append(str(record["template_id"]))
    assert tally.dead_letters == 0
    assert reached == REACHED[name]


@pytest.mark.parametrize("name", sorted(REACHED))
def test_the_mails_of_an_example_are_made_for_mail_clients(name: str) -> None:
    """Tables with inline styles, a preview text or none, a way out of marketing, and no image that must be loaded."""
    _, definitions = loaded(name)
    for template in definitions.templates.values():
        links = {"unsubscribe_url": "https://u.example"}
        rendered = render(compile_template(template, lambda _: bool), links.get, "")
        if template.channel != "email":
            assert rendered.html is None
            continue
        assert rendered.html is not None
        assert "<table" in rendered.html
        assert "<mj-" not in rendered.html
        assert "<img" not in rendered.html
        assert 'role="presentation"' in rendered.html
        assert len(rendered.html) < 100_000  # Gmail cuts what is larger
        assert rendered.text
        assert "<" not in rendered.text
