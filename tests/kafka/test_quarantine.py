"""The rules raise for one customer while everything is live: she is set aside, nobody else notices, and is released."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from schemas.quarantines import decode_place
from tests.journey import Document, mail, trigger, workflow
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.live import Live
from tests.kafka.runs import committed_messages
from tests.unit.tidings.test_cli_errors import say
from tidings.supervisor import RestartPolicy, Supervisor

DEFECTIVE = (sys.executable, "-m", "tests.defective")
HELLO: Document = {"kind": "template", "id": "hello", "subject_template": "Hello", "content_template": "<p>Hi</p>"}
DEFINITIONS = [workflow(mail(), on=[trigger("page_viewed")], allow_multiple_executions=True), HELLO]

__all__ = ["say"]


@pytest.fixture
def live(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Live]:
    with Supervisor(tmp_path / "log", policy=RestartPolicy(most_restarts=1_000)) as supervisor:
        yield Live(kafka, prefix, tmp_path, supervisor)


def test_one_customer_is_set_aside_and_released_behind_a_fix(live: Live) -> None:
    """A worker that is killed and one without the defect know her as set aside; replay makes all of it again."""
    live.apply("definitions", DEFINITIONS)
    live.start("ingest")
    live.start("worker", program=DEFECTIVE)
    with live.watched():
        live.publish("page_viewed", "ada")
        live.wait(lambda: len(live.sends("w", "ada")) == 1, "ada is mailed")
        live.publish("page_viewed", "ada", defect=True)
        for who in ("ada", "bob", "ada", "eve"):
            live.publish("page_viewed", who)
        live.wait(
            lambda: {one.customer_id for one in live.sends("w")} == {"ada", "bob", "eve"}, "the others are mailed"
        )
        live.wait(lambda: len(_letters(live)) == 1, "what it was lies in the dead letters")
        [letter] = _letters(live)
        [place] = committed_messages(live.connection, f"{live.prefix}quarantines")
        assert decode_place(place.key() or b"").key == b"c:ada"
        assert "ada@" not in str(letter["reason"])
        assert "she is quarantined: rules_raised" in (told := live.say("explain", "ada"))
        assert "Quarantined: 3 records are kept" in told

        # Who comes next knows her as set aside, also without the defect.
        live.stop("worker")
        live.start("worker")
        live.publish("page_viewed", "ada")
        live.publish("page_viewed", "bob")
        live.wait(lambda: len(live.sends("w", "bob")) == 2, "bob is mailed again")
        assert len(live.sends("w", "ada")) == 1
        assert "Quarantined: 4 records are kept" in live.say("explain", "ada")

        said = live.say("dead-letters", "retry", str(letter["id"]))
        assert "1 dead letter put back." in said
        live.wait(lambda: len(live.sends("w", "ada")) == 5, "what had been kept of her is decided")
    assert len({one.send_id for one in live.seen}) == len(live.seen)
    replayed = live.say("replay")
    assert "differ" not in replayed, replayed
    assert "Nothing differs." in live.say("replay", "--definitions", str(live.folder / "definitions"))
    assert "Quarantined" not in live.say("explain", "ada")


def _letters(live: Live) -> list[dict[str, object]]:
    lines = live.say("dead-letters", "list", "--each", "--json", "--class", "rules").splitlines()
    return [msgspec.json.decode(line) for line in lines]
