"""Topics as data: names, partitions and settings by what a topic is for."""

import pytest

from schemas.log import Clock
from schemas.topics import SEND_TOPIC_OF_CHANNEL, dead_letters_settled_topic, schemas_topic, topics, watermarks_topic

NAMES = [
    *("behavioral-events", "engagement-events", "crm-events"),
    *("customer-log", "customers-changelog", "definitions"),
    *("email-sends", "sms-sends", "push-sends", "social-sends"),
    *("decisions", "webhook-calls", "dead-letters", "quarantines"),
]
DAY_MS = 24 * 60 * 60 * 1000
LONGEST_MS = "9223372036854775807"
CLOCKS: tuple[Clock, ...] = ("wall", "log")


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_names_are_those_of_the_contract_under_the_prefix(clock: Clock) -> None:
    """Every topic has its exact name behind the prefix, once."""
    found = [spec.name for spec in topics("p.", partitions=4, public_partitions=3, clock=clock)]
    assert sorted(found) == sorted("p." + name for name in NAMES)


@pytest.mark.parametrize("clock", CLOCKS)
def test_what_a_partition_of_the_log_leads_to_has_as_many_partitions(clock: Clock) -> None:
    """Public topics may have another number of partitions; all that is written from the log has the log's."""
    found = {spec.name: spec.partitions for spec in topics("", partitions=4, public_partitions=3, clock=clock)}
    public = {"behavioral-events": 3, "engagement-events": 3, "crm-events": 3}
    assert found == dict.fromkeys(NAMES, 4) | public | {"definitions": 1}


@pytest.mark.parametrize("clock", CLOCKS)
def test_no_topic_judges_a_record_by_its_year(clock: Clock) -> None:
    """The producer's time is kept, however far away, and never begins a segment."""
    for spec in topics("", partitions=1, public_partitions=1, clock=clock):
        assert spec.config["message.timestamp.type"] == "CreateTime"
        for setting in ("message.timestamp.before.max.ms", "message.timestamp.after.max.ms", "segment.ms"):
            assert spec.config[setting] == LONGEST_MS


@pytest.mark.parametrize(
    ("clock", "days"),
    [
        ("log", {}),
        ("wall", {"customer-log": 400, "decisions": 90} | dict.fromkeys((*NAMES[:3], *NAMES[6:10], *NAMES[11:13]), 30)),
    ],
)
def test_retention_is_by_age_live_and_endless_in_the_logs_own_clock(clock: Clock, days: dict[str, int]) -> None:
    """Live, records leave at the age that is promised; a log with its own clock keeps everything."""
    for spec in topics("", partitions=1, public_partitions=1, clock=clock):
        if spec.config["cleanup.policy"] == "delete":
            expected = str(days[spec.name] * DAY_MS) if days else "-1"
            assert (spec.config["retention.ms"], spec.config["retention.bytes"]) == (expected, "-1")


def test_state_and_catalogue_are_compacted() -> None:
    """What is read from its beginning at every start keeps the last record of each key."""
    compacted = {
        spec.name
        for spec in topics("", partitions=1, public_partitions=1, clock="wall")
        if spec.config["cleanup.policy"] == "compact"
    }
    assert compacted == {"customers-changelog", "definitions"}


def test_a_refused_event_fits_into_the_dead_letters() -> None:
    """A dead letter may be larger than any public record."""
    sizes = {
        spec.name: int(spec.config["max.message.bytes"])
        for spec in topics("", partitions=1, public_partitions=1, clock="wall")
    }
    assert sizes["dead-letters"] > sizes["behavioral-events"] > 1024 * 1024


def test_what_is_said_about_progress_has_the_brokers_time_and_one_order() -> None:
    """How old a word is may not depend on the clock of who says it; the last about each partition is kept."""
    spec = watermarks_topic("p.")
    assert (spec.name, spec.partitions) == ("p.watermarks", 1)
    assert spec.config["message.timestamp.type"] == "LogAppendTime"
    assert spec.config["cleanup.policy"] == "compact"


def test_the_topic_of_schemas_is_shared() -> None:
    """It has no prefix, one partition, and keeps the last record of each key, as a registry makes it."""
    spec = schemas_topic()
    assert (spec.name, spec.partitions, spec.config) == ("_schemas", 1, {"cleanup.policy": "compact"})


def test_each_channel_has_its_topic() -> None:
    """A channel's sends go to the topic of its name."""
    assert {channel: f"{channel}-sends" for channel in SEND_TOPIC_OF_CHANNEL} == SEND_TOPIC_OF_CHANNEL


def test_what_was_done_with_dead_letters_is_remembered_for_good_in_one_partition() -> None:
    spec = dead_letters_settled_topic("p.")
    assert (spec.name, spec.partitions) == ("p.dead-letters-settled", 1)
    assert spec.config["cleanup.policy"] == "compact"
