"""`tidings doctor` beside a real Kafka: before the topics are there, with them, and where one is other than it must be."""

from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.connection import Connection
from streams.topics import admin_client
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.runs import committed_messages
from tests.unit.tidings.test_cli_errors import Say, say
from tidings.commands.init import write_first_folder
from tidings.doctor.findings import Finding

__all__ = ["say"]


def test_the_doctor_sees_what_is_missing_right_and_wrong(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but a word about the clock is written; the sender is the one of the definitions in force."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("TIDINGS_TOPIC_PREFIX", prefix)
    before = _looked(say)
    assert {about: before[about].state for about in ("kafka", "kafka version", "topics", "transactions")} == {
        "kafka": "ok", "kafka version": "ok", "topics": "warn", "transactions": "ok",
    }  # fmt: skip
    assert before["definitions"].state == "warn"

    write_first_folder(tmp_path / "first")
    assert say("apply", str(tmp_path / "first"))[0] == 0
    there = _looked(say)
    assert [there[about].state for about in ("topics", "transactions", "clock", "definitions")] == ["ok"] * 4
    assert "version 1 since" in there["definitions"].found
    assert any("shop.example" in about for about in there)

    connection = Connection(bootstrap_servers=kafka.bootstrap_servers)
    spoilt = ConfigResource(ResourceType.TOPIC, f"{prefix}customer-log")
    spoilt.add_incremental_config(ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET))
    [done] = admin_client(connection).incremental_alter_configs([spoilt]).values()
    done.result()
    ill = _looked(say)
    assert (ill["topics"].state, "retention.ms is 1000" in ill["topics"].found) == ("fail", True)
    assert "kafka-configs.sh" in (ill["topics"].todo or "")
    assert say("doctor")[0] == 1
    words = list(committed_messages(connection, f"{prefix}watermarks"))
    assert {word.key() for word in words} == {b"clock"}


def _looked(say: Say) -> dict[str, Finding]:
    _, out, _ = say("doctor", "--json")
    found = [msgspec.json.decode(line, type=Finding) for line in out.splitlines()]
    return {one.about: one for one in found}
