"""`tidings backfill --dry-run` over a real log: it says what `simulate` does with the workflow there all along."""

import shutil
from pathlib import Path

from schemas.topics import CUSTOMER_LOG, DEFINITIONS
from streams.topics import end_offsets
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.runs import environment, records, tidings
from tidings.commands.processes import reached
from tidings.settings import read_settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "welcome"
NEW = "welcome-series-with-behavioral-triggers"
BEGIN = "2026-03-02T08:58:10Z"
OLD = """
name: Old hello
triggers: [{type: behavioral, conditions: {event_type: signup}}]
steps: [{id: hello, type: email, configuration: {template_id: welcome_template_001}, next_steps: []}]
"""


def folder_of(place: Path, *names: str) -> Path:
    """Write a folder of definitions: the old workflow, and files of the example."""
    place.mkdir()
    (place / "old.yaml").write_text(OLD)
    for name in names:
        shutil.copy(EXAMPLE / name, place)
    return place


def test_the_dry_run_counts_what_simulate_makes_and_writes_nothing(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path
) -> None:
    """The opens and clicks of the file are the same in both; times that the log does not hold are refused."""
    before = folder_of(tmp_path / "before", "settings.yaml", "templates.yaml")
    after = folder_of(tmp_path / "after", "settings.yaml", "templates.yaml", "welcome.yaml")
    events, output = EXAMPLE / "events.ndjson", tmp_path / "all-along.ndjson"
    env = environment(tmp_path, kafka.bootstrap_servers)
    ran = tidings("run", f"--definitions={before}", f"--events={events}", f"--prefix={prefix}", "--keep", env=env)
    assert ran.returncode == 0, ran.stderr
    made = tidings("simulate", f"--definitions={after}", f"--events={events}", f"--output={output}", env=env)
    assert made.returncode == 0, made.stderr
    own = [record for record in records(output.read_text()) if record.get("workflow_id") == NEW]
    sent = sum(record["record"] == "send" for record in own)
    completed = sum(record.get("kind") == "execution_ended" for record in own)
    assert min(sent, completed) > 0

    env = environment(tmp_path, kafka.bootstrap_servers, TIDINGS_TOPIC_PREFIX=prefix)
    connection = reached(read_settings(env))
    topics = [prefix + name for name in (CUSTOMER_LOG, DEFINITIONS, "email-sends", "decisions")]
    held = [end_offsets(connection, topic) for topic in topics]
    words = ("backfill", NEW, f"--definitions={after}", "--dry-run")
    said = tidings(*words, f"--since={BEGIN}", env=env)
    assert said.returncode == 0, said.stderr
    assert f"Have been through it: completed {completed}." in said.stdout
    assert f"It would have sent {sent} messages by then." in said.stdout
    listed = tmp_path / "listed.ndjson"
    told = tidings(*words, f"--since={BEGIN}", f"--output={listed}", env=env)
    assert told.returncode == 0, told.stderr
    lines = records(listed.read_text())
    assert sum(line["record"] == "message" and line["workflow_id"] == NEW for line in lines) == sent
    elsewhere = {str(line["customer_id"]) for line in lines if line["record"] == "customer"}
    assert {str(record["customer_id"]) for record in own if record["record"] == "send"} <= elsewhere
    assert "engagement: " in told.stdout
    there = tidings("backfill", NEW, f"--definitions={after}", f"--since={BEGIN}", f"--output={listed}", env=env)
    assert (there.returncode, "--output goes with --dry-run" in there.stderr) == (2, True), there.stderr
    early = tidings(*words, "--since=2026-03-02T08:58:09.999Z", env=env)
    late = tidings(*words, "--since=2026-03-12T08:15:00.001Z", env=env)
    assert (early.returncode, late.returncode) == (1, 1)
    assert "say --since 2026-03-02T08:58:10.000Z, or later" in early.stderr
    assert "the log ends at 2026-03-12T08:15:00.000Z" in late.stderr
    assert [end_offsets(connection, topic) for topic in topics] == held
