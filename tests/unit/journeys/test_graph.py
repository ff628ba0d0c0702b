"""The graph of a workflow's steps: reachability, loops, the shortest wait, branches that meet."""

import pytest

from journeys.graph import (
    MAX_FAN_OUTS,
    graph_of,
    loops_without_wait,
    next_step_ids,
    repeatable,
    sends_that_can_run_twice,
    shortest_wait_ms,
    unreachable,
)
from schemas.definitions import (
    ActionStep,
    AllOf,
    Branch,
    ConditionDecision,
    DecisionStep,
    EmailConfiguration,
    EmailStep,
    Exit,
    FixedTime,
    ScoreBased,
    SegmentBranch,
    SegmentCheck,
    SplitTest,
    Step,
    Threshold,
    UntilDate,
    UntilEvent,
    UntilTime,
    Variant,
    WaitConfiguration,
    WaitStep,
)
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS

ALWAYS = AllOf(all=())


def mail(name: str, *following: str) -> EmailStep:
    return EmailStep(id=name, configuration=EmailConfiguration(template_id="t"), next_steps=following)


def wait(name: str, *following: str, hours: float = 1, skippable: bool = False) -> WaitStep:
    logic = ALWAYS if skippable else None
    return WaitStep(
        id=name, configuration=FixedTime(duration_hours=hours), next_steps=following, conditional_logic=logic
    )


def until(name: str, configuration: WaitConfiguration, *following: str) -> WaitStep:
    return WaitStep(id=name, configuration=configuration, next_steps=following)


def decision(name: str, *branches: str, default: str | None = None) -> DecisionStep:
    conditions = tuple(Branch(rule=ALWAYS, next_step=branch) for branch in branches)
    return DecisionStep(id=name, configuration=ConditionDecision(conditions=conditions, default_next_step=default))


def end(name: str, *following: str) -> ActionStep:
    return ActionStep(id=name, configuration=Exit(), next_steps=following)


def split(name: str, *branches: str) -> DecisionStep:
    variants = tuple(Variant(name=branch, weight=1, next_step=branch) for branch in branches)
    return DecisionStep(id=name, configuration=SplitTest(variants=variants))


def loops(*steps: Step) -> list[tuple[str, ...]]:
    return loops_without_wait(steps, graph_of(steps))


def shortest(*steps: Step) -> int | None:
    return shortest_wait_ms(steps, graph_of(steps))


def test_every_kind_of_step_names_what_may_follow() -> None:
    assert next_step_ids(mail("a", "b", "c", "b")) == ("b", "c")
    assert next_step_ids(until("a", UntilEvent(event_type="e", timeout_hours=1, timeout_next_step="c"), "b")) == (
        "b",
        "c",
    )
    assert next_step_ids(decision("a", "b", "c", default="d")) == ("b", "c", "d")
    assert next_step_ids(decision("a", "b")) == ("b",)
    assert next_step_ids(split("a", "b", "c")) == ("b", "c")
    scored = ScoreBased(thresholds=(Threshold(min_score=1, next_step="b"),), default_next_step="c")
    assert next_step_ids(DecisionStep(id="a", configuration=scored)) == ("b", "c")
    segmented = SegmentCheck(segments=(SegmentBranch(segment_id="s", next_step="b"),))
    assert next_step_ids(DecisionStep(id="a", configuration=segmented)) == ("b",)


def test_nothing_follows_an_exit_unless_it_can_be_skipped() -> None:
    assert next_step_ids(end("a", "b")) == ()
    skippable = ActionStep(id="a", configuration=Exit(), next_steps=("b",), conditional_logic=ALWAYS)
    assert next_step_ids(skippable) == ("b",)


def test_steps_that_no_path_leads_to_are_found_also_where_they_lead_to_each_other() -> None:
    steps = (mail("a", "b"), mail("b"), mail("c", "d"), mail("d", "c", "b"))
    assert unreachable(steps, graph_of(steps)) == ["c", "d"]


def test_a_typing_error_makes_nothing_unreachable_where_it_is_clear_what_was_meant() -> None:
    steps = (mail("a", "wait_24"), wait("wait_24h", "c"), mail("c"))
    assert unreachable(steps, graph_of(steps)) == ["wait_24h", "c"]
    assert unreachable(steps, graph_of(steps, {"wait_24": "wait_24h"})) == []


@pytest.mark.parametrize(
    "breaker",
    [
        wait("w", "a"),
        until("w", FixedTime(calendar_days=1), "a"),
        until("w", UntilTime(target_time="09:00"), "a"),
        until("w", UntilEvent(event_type="e"), "a"),
    ],
)
def test_a_loop_may_hold_whatever_lets_time_pass(breaker: Step) -> None:
    assert loops(mail("a", "w"), breaker) == []


@pytest.mark.parametrize(
    "step",
    [
        mail("w", "a"),
        wait("w", "a", hours=0),
        until("w", UntilDate(target_date="2026-01-01"), "a"),
        decision("w", default="a"),
        split("w", "a", "b"),
    ],
)
def test_a_loop_without_a_wait_is_found(step: Step) -> None:
    assert loops(mail("a", "w"), step, mail("b")) == [("a", "w")]


def test_a_step_that_follows_itself_is_a_loop() -> None:
    assert loops(mail("a", "a")) == [("a",)]


def test_loops_are_written_along_the_path_and_found_also_where_they_share_steps() -> None:
    assert loops(mail("a", "b"), mail("b", "c"), decision("c", "a", "b")) == [("a", "b", "c"), ("b", "c")]


def test_a_thousand_steps_in_a_row_are_no_loop() -> None:
    steps = [mail(str(number), str(number + 1)) for number in range(1_000)]
    assert loops(*steps, mail("1000")) == []


def test_durations_and_calendar_days_add_up() -> None:
    days = FixedTime(duration_hours=1, duration_minutes=2, duration_days=3, calendar_days=4)
    assert shortest(until("a", days, "b"), mail("b")) == 7 * DAY_MS + HOUR_MS + 2 * MINUTE_MS


def test_the_shortest_of_several_paths_counts() -> None:
    steps = (split("a", "long", "short"), wait("long", "end", hours=48), wait("short", "end", hours=5), mail("end"))
    assert shortest(*steps) == 5 * HOUR_MS


def test_a_path_that_ends_while_a_shorter_one_is_still_open_is_no_obstacle() -> None:
    assert shortest(wait("a", "c", "b", hours=0), wait("b", "c", hours=0), wait("c", hours=0.5)) == HOUR_MS // 2
    first, second = mail("a", "b", "c"), mail("b", "d", "c")
    assert shortest(first, second, wait("d", "e"), wait("e", "c"), wait("c", hours=0.5)) == HOUR_MS // 2


def test_a_decision_without_default_may_end_the_path() -> None:
    assert shortest(decision("a", "b"), wait("b", hours=9)) == 0
    assert shortest(decision("a", "b", default="b"), wait("b", hours=9)) == 9 * HOUR_MS


def test_timeouts_dates_and_times_count_nothing() -> None:
    event = UntilEvent(event_type="e", timeout_hours=500, timeout_next_step="b")
    assert shortest(until("a", event), wait("b", hours=9)) == 9 * HOUR_MS
    assert shortest(until("a", UntilDate(target_date="2030-01-01"), "b"), mail("b")) == 0
    assert shortest(until("a", UntilTime(target_time="09:00"), "b"), mail("b")) == 0


def test_a_wait_that_may_be_skipped_counts_nothing() -> None:
    assert shortest(wait("a", "b", hours=9, skippable=True), mail("b")) == 0


def test_an_exit_ends_the_path() -> None:
    assert shortest(split("a", "b", "c"), end("b"), wait("c", hours=9)) == 0


def test_a_workflow_that_never_ends_has_no_shortest_path() -> None:
    assert shortest(wait("a", "a")) is None


def test_sends_behind_branches_that_run_side_by_side_and_meet_are_found() -> None:
    steps = (mail("a", "b", "c"), wait("b", "d"), wait("c", "d"), mail("d", "e"), wait("e"))
    assert sends_that_can_run_twice(steps, graph_of(steps)) == ["d"]


def test_branches_of_a_decision_dont_run_side_by_side() -> None:
    steps = (decision("a", "b", "c"), wait("b", "d"), wait("c", "d"), mail("d"))
    assert sends_that_can_run_twice(steps, graph_of(steps)) == []


def test_without_steps_there_is_nothing_to_reach() -> None:
    assert unreachable([], {}) == []
    assert shortest_wait_ms([], {}) is None


def test_beyond_a_number_of_forks_every_step_counts_as_one_that_comes_again() -> None:
    """Looking at each fork costs a walk; what may come again is only watched more closely."""

    def fork(name: str, *then: str) -> Step:
        return EmailStep(id=name, configuration=EmailConfiguration(template_id="t"), next_steps=then)

    for forks, found in ((MAX_FAN_OUTS, 0), (MAX_FAN_OUTS + 1, 3 * (MAX_FAN_OUTS + 1))):
        steps: list[Step] = []
        for number in range(forks):
            steps += [fork(f"f{number}", f"l{number}", f"r{number}"), fork(f"l{number}"), fork(f"r{number}")]
        assert len(repeatable(steps, graph_of(steps))) == found


def test_a_decision_that_may_be_skipped_may_be_the_end() -> None:
    """It has no next steps, so what is skipped ends the path, whatever its branches wait for."""
    always = SplitTest(variants=(Variant(name="a", weight=1, next_step="p"),))
    wait = WaitStep(id="p", configuration=FixedTime(duration_hours=5))
    for logic, least in ((None, 5 * HOUR_MS), (ALWAYS, 0)):
        steps: list[Step] = [DecisionStep(id="d", configuration=always, conditional_logic=logic), wait]
        assert shortest_wait_ms(steps, graph_of(steps)) == least
