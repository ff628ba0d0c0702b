"""`max_executions` over partitions: whoever works when and dies when, exactly so many start.

Where there is a place for everybody, what comes out is what `simulate` gives; where there isn't, who gets the last one
depends on how fast partitions are worked on, but never how many there are.
"""

import random  # noqa: TID251 -- seeded
from collections import Counter
from typing import Final

import msgspec
import pytest

from journeys.catalogue import Catalogue
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS
from tests.journey import START, Document, action, compiled, mail, schedule, silence, trigger, wait, workflow
from tests.simulation.log_model import Application, as_json
from tests.simulation.test_identity import World, simulated

PARTITIONS: Final = 4
PEOPLE: Final = ("ada", "bob", "eve", "joe", "sue")
ENOUGH: Final = 10_000


class Crowd(World):
    """Draws events of five customers and their visitors; who was absorbed comes no more."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 -- not a secret
        at, self.lines = START, []
        known: set[str] = set()
        for number in range(chance.randrange(5, 40)):
            at += chance.choice((0, 0, 1, MINUTE_MS, HOUR_MS, 26 * HOUR_MS))
            who = chance.choice(PEOPLE)
            line: Document = {"event_id": f"e{number}", "occurred_at": at}
            if chance.random() < 0.15:
                known.add(who)
                line |= {"type": "identify", "customer_id": who, "anonymous_id": f"v-{who}"}
            else:
                line["type"] = chance.choice(("signup", "page_viewed", "order_completed"))
                visits = who not in known and chance.random() < 0.4
                line |= {"anonymous_id": f"v-{who}"} if visits else {"customer_id": who}
                line["properties"] = {"email": f"{who}@shop.example"}
            self.lines.append(line)
        self.until = at + 3 * DAY_MS


def definitions(most: int) -> Catalogue:
    several = {"allow_multiple_executions": True}
    return compiled(
        workflow(
            mail("hi", "pause"),
            wait("pause", "again", duration_hours=2),
            mail("again"),
            id="once",
            on=[trigger("signup", max_executions=most)],
        ),
        workflow(
            mail("thanks", "tell"),
            action("tell", "send_event", event_type="thanked"),
            id="many",
            on=[trigger("order_completed", max_executions=most)],
            **several,
        ),
        workflow(mail("told"), id="chain", on=[trigger("thanked", max_executions=most)], **several),
        workflow(mail("back"), id="back", on=[silence(24) | {"max_executions": most}], **several),
        workflow(mail("nine"), id="nine", on=[schedule("0 9 * * *") | {"max_executions": most}], **several),
        workflow(mail("plain"), id="plain", on=[trigger("order_completed")], **several),
    )


@pytest.mark.parametrize("start", range(0, 300, 100))
def test_with_a_place_for_everybody_it_is_what_simulate_gives(start: int) -> None:
    catalogue, deaths = definitions(ENOUGH), 0
    for seed in range(start, start + 100):
        world = Crowd(seed)
        application = Application(catalogue, world.read(), world.until, PARTITIONS, seed)
        application.run()
        application.states()
        found, expected = application.records(), simulated(world, catalogue)
        assert [as_json(one) for one in found] == [as_json(one) for one in expected], f"seed {seed}"
        deaths += application.deaths
    assert deaths > 50, "hardly anybody died"


@pytest.mark.parametrize("most", [1, 2, 5])
def test_exactly_so_many_start_and_each_once(most: int) -> None:
    catalogue = definitions(most)
    for seed in range(80):
        world = Crowd(seed)
        application = Application(catalogue, world.read(), world.until, PARTITIONS, seed)
        application.run()
        application.states()
        there, here = (
            [msgspec.json.decode(record, type=dict[str, object]) for record in records]
            for records in (application.records(), simulated(world, catalogue))
        )
        assert _started(there) == _started(here), f"seed {seed}"
        assert max((count for name, count in _started(there).items() if name != "plain"), default=0) <= most
        ids = [one.get("decision_id") or one["send_id"] for one in there]
        assert len(ids) == len(set(ids)), f"seed {seed}"


def _started(records: list[dict[str, object]]) -> Counter[object]:
    return Counter(one["workflow_id"] for one in records if one.get("kind") == "execution_started")
