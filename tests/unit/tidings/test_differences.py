"""What `diff` says about two sets of definitions."""

from tests.journey import Document, mail, wait, workflow
from tidings.differences import Difference, differences

TEMPLATE: Document = {"kind": "template", "id": "hello", "content_template": "Hi"}


def changed(before: Document, after: Document) -> tuple[str, ...]:
    [found] = differences([before], [after])
    return found.changes


def test_definitions_are_matched_by_kind_and_id_wherever_they_stand() -> None:
    """An id of one kind is another than the same id of another kind; order means nothing."""
    assert differences([workflow(id="a"), TEMPLATE], [{"kind": "segment", "id": "hello"}, workflow(id="a")]) == [
        Difference(kind="segment", id="hello", what="added"),
        Difference(kind="template", id="hello", what="removed"),
    ]


def test_a_workflow_without_an_id_is_known_by_its_name() -> None:
    named: Document = {"name": "Welcome Series", "steps": []}
    [found] = differences([named], [{**named, "description": "x"}])
    assert (found.title, found.changes) == ("workflow welcome-series", ('description: "x" is new',))


def test_settings_need_no_id() -> None:
    [found] = differences([{"kind": "settings", "default_timezone": "UTC"}], [{"kind": "settings"}])
    assert (found.title, found.changes) == ("settings", ('default_timezone: "UTC" is gone',))


def test_steps_are_compared_by_id_so_one_that_moved_is_not_all_changed() -> None:
    short, long = wait("p", "mail", duration_hours=1), wait("p", "mail", duration_hours=2)
    assert changed(workflow(short, mail()), workflow(mail(), long)) == (
        "steps.p.configuration.duration_hours: 1 → 2",
        "steps: another order (mail, p)",
    )


def test_the_same_set_differs_in_nothing() -> None:
    assert differences([workflow(), TEMPLATE], [TEMPLATE, workflow()]) == []


def test_long_values_are_cut_and_what_a_terminal_would_act_upon_is_replaced() -> None:
    before, after = {**TEMPLATE, "content_template": "x" * 500}, {**TEMPLATE, "content_template": "\x1b[2J"}
    [line] = changed(before, after)
    assert len(line) < 200
    assert "\x1b" not in line
