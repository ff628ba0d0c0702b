"""A local Kafka that was started and doesn't answer isn't one that nobody has started."""

from pathlib import Path
from typing import Literal

import pytest

from tidings.commands.processes import lost_kafka
from tidings.services.kafka import Broker, Status
from tidings.services.processes import DetachedProcess

BROKER = Broker(
    process=DetachedProcess(pid=7, started_ticks=1, mark="x"),
    port=20_000,
    controller_port=20_001,
    cluster_id="c",
    data=Path("data"),
)


@pytest.mark.parametrize(
    ("state", "found", "remedy"),
    [
        ("died", "Kafka ended without being asked. Disk full.", "start it again with `tidings kafka start`"),
        ("silent", "Kafka's process 7 lives, but doesn't answer at 127.0.0.1:20000.", "`tidings kafka stop` ends it"),
        (
            "foreign",
            "Another Kafka broker answers at 127.0.0.1:20000.",
            "`tidings kafka start` finds ours another port",
        ),
    ],
)
def test_what_became_of_a_local_kafka_is_said_with_what_to_do(
    state: Literal["died", "silent", "foreign"], found: str, remedy: str
) -> None:
    first, second = lost_kafka(Status(state=state, broker=BROKER, reason="Disk full.")).splitlines()
    assert first == found
    assert remedy in second
