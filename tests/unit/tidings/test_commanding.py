"""What an operator is told of a command, by what the workers have stored."""

import pytest

from agents.standing import Place
from schemas.customer import Bonds, Customer, Execution
from schemas.errors import TidingsError
from schemas.log import Command, Holds
from tests.journey import Journey, mail, wait, workflow
from tidings.commanding import answer_to_all, answer_to_one

NOTHING, ALL = Holds(), Holds(everything=True)
ONE = Holds(workflows=("w",))


def command(action: str, **named: str) -> Command:
    """Return a command."""
    return Command(command_id="c", action=action, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "holds", "begins"),
    [
        (command("pause"), [NOTHING, NOTHING], "Paused: it. Workers obey"),
        (command("pause"), [ALL, NOTHING], "Paused: it. Workers obey"),
        (command("pause"), [ALL, None], "Paused: it. Workers obey"),
        (command("pause"), [ALL, ALL], "Paused already, as far as the workers have read: it."),
        (command("pause", workflow_id="w"), [ALL, ALL], "Paused: it. Workers obey"),
        (command("pause", workflow_id="w"), [ONE, ONE], "Paused already"),
        (command("resume"), [ALL, ALL], "Resumed: it. Workers obey"),
        (command("resume"), [NOTHING, ALL], "Resumed: it. Workers obey"),
        (command("resume"), [NOTHING, None], "Resumed: it. Workers obey"),
        (
            command("resume"),
            [NOTHING, NOTHING],
            "Nothing to resume, as far as the workers have read: there is no pause of it.",
        ),
        (command("resume", workflow_id="w"), [ALL, ALL], "Nothing to resume"),
        (command("cancel", workflow_id="w"), [NOTHING], "Cancelled: it. Workers obey"),
    ],
)
def test_a_command_to_all_says_whether_it_changes_anything(
    given: Command, holds: list[Holds | None], begins: str
) -> None:
    """Only where every partition is known to be so already is it said; one that isn't known may be otherwise."""
    assert answer_to_all(given, "it", holds, []).startswith(begins)


def test_who_resumes_the_wrong_thing_is_told_what_is_paused() -> None:
    said = answer_to_all(command("resume", workflow_id="w"), "workflow w", [ALL], ["everything"])
    assert said.endswith("there is no pause of workflow w. What is paused: everything.")


@pytest.fixture
def customer() -> Customer:
    """Return somebody who waits in an execution of `w`."""
    journey = Journey(workflow(wait("p", "mail", duration_hours=2), mail()))
    journey.publish("signup", at=0)
    return journey.customer()


def told(given: Command, place: Place) -> str:
    """Return what is said of a command to `ada`."""
    return answer_to_one(given, "ada", "customer ada", place, "shop.")


def under_way(customer: Customer) -> Execution:
    """Return her only execution."""
    [execution] = customer.executions
    return execution


def test_a_command_to_a_customer_names_the_executions_that_it_concerns(customer: Customer) -> None:
    place, name = Place(customer=customer), f"{under_way(customer).execution_id} of w"
    assert told(command("pause"), place).startswith(f"Paused: customer ada ({name}). Workers obey")
    assert told(command("cancel"), place).startswith(f"Cancelled: customer ada ({name}). Workers obey")
    assert told(command("resume"), place).startswith("Nothing to resume")
    under_way(customer).paused_at = 1
    assert told(command("pause"), place).startswith("Paused already")
    assert told(command("resume"), place).startswith(f"Resumed: customer ada ({name}). Workers obey")


@pytest.mark.parametrize(
    ("holds", "ends"),
    [
        (None, "isn't paused by itself."),
        (Holds(workflows=("another",)), "isn't paused by itself."),
        (ONE, "Its workflow is: `tidings resume w`."),
        (ALL, "Everything is: `tidings resume --all`."),
    ],
)
def test_who_resumes_what_is_held_with_others_is_told_how(customer: Customer, holds: Holds | None, ends: str) -> None:
    assert told(command("resume"), Place(customer=customer, holds=holds)).endswith(ends)


def test_who_is_in_no_execution_of_a_workflow_has_nothing_to_be_paused(customer: Customer) -> None:
    said = told(command("pause", workflow_id="another"), Place(customer=customer))
    assert said.endswith("ada is in no execution of workflow another.")


def test_who_is_not_known_is_told_with_what_to_check() -> None:
    """Nothing folded and nothing in the log: nobody is called so; with something in the log she soon will be known."""
    with pytest.raises(TidingsError, match=r"nothing is known of a customer ada in the topics shop\..*\nCheck the id"):
        told(command("pause"), Place(customer=None))
    assert "workers obey behind them" in told(command("pause"), Place(customer=None, is_awaited=True))


def test_an_execution_that_is_not_under_way_is_told_with_those_that_are(customer: Customer) -> None:
    with pytest.raises(
        TidingsError, match=f"no execution x .*; under way are: {under_way(customer).execution_id} of w"
    ):
        told(command("cancel", execution_id="x"), Place(customer=customer))
    customer.executions.clear()
    with pytest.raises(TidingsError, match="none of hers is"):
        told(command("cancel", execution_id="x"), Place(customer=customer))


def test_who_was_merged_away_is_told_with_who_absorbed_her(customer: Customer) -> None:
    customer.bonds = Bonds(merged_into="c:bea")
    with pytest.raises(TidingsError, match="ada was merged into bea: say --customer bea"):
        told(command("cancel"), Place(customer=customer))
