"""`tidings replay` makes every decision and send again, and names whatever else stands in Kafka."""

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from agents.beginning import fold_until
from agents.catalogues import Catalogues
from agents.comparing import Span
from agents.replaying import ReplayPlan, customer_keys, log_record, reach_of
from agents.snapshots import Snapshot, save_snapshot
from agents.standing import read_standing
from journeys.validation import definitions_from_documents
from schemas.instants import HOUR_MS, format_instant, parse_instant
from streams.partitions import partition_of
from streams.reading import read_partition
from streams.topics import end_offsets, first_offsets
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.cutting import cut
from tests.kafka.replays import replayed
from tests.kafka.runs import Record, Run, committed_messages, environment, records, tidings
from tidings.clock import fresh_bytes
from tidings.processes import topic_ids
from tidings.replaying import replay_all

PARTITIONS = 3


class Kept(msgspec.Struct, frozen=True):
    """A run that has left its topics."""

    run: Run
    bootstrap: str
    prefix: str
    folder: Path
    records: list[Record]
    mails: dict[int, int]
    """The ends of the topic of mails when the run was over."""

    def replay(self, *options: str) -> tuple[int, str, str]:
        """Replay its log; return the exit code, what was said, and what went wrong."""
        done = replayed(self.bootstrap, self.prefix, self.folder, *options)
        return done.returncode, done.stdout, done.stderr

    def what_if(self, *options: str) -> tuple[int, str, str]:
        """Replay its log under other definitions."""
        env = environment(self.folder, self.bootstrap, TIDINGS_TOPIC_PREFIX=self.prefix)
        done = tidings("replay", *options, env=env)
        return done.returncode, done.stdout, done.stderr

    def decisions(self, **asked: object) -> list[int]:
        """Count the decisions that come out again where a part of the log is asked about, by partition."""
        connection, log = self.run.connection, f"{self.prefix}customer-log"
        positions = {
            number: one.next_offset for number, one in read_standing(connection, self.prefix).positions.items()
        }
        plan = ReplayPlan(
            connection=connection, prefix=self.prefix, partitions=PARTITIONS,
            topic_id=topic_ids(connection, [log])[log], **asked,  # type: ignore[arg-type]
        )  # fmt: skip
        results = replay_all(plan, reach_of(connection, self.prefix, positions), lambda _done, _all: None, processes=1)
        assert [result.differences for result in results] == [[]] * PARTITIONS
        return [result.same["decisions"] for result in results]

    def count(self, *kinds: str) -> int:
        """Count the records of some kinds."""
        return sum(record["record"] in kinds for record in self.records)


@pytest.fixture(scope="module")
def kept(kafka: KafkaUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Run a world of everything there is, once."""
    folder, prefix = tmp_path_factory.mktemp("kept"), f"test-{fresh_bytes(4).hex()}-replay."
    world = worlds.generated(folder / "world")
    run = Run(world, kafka.bootstrap_servers, prefix, folder, "--keep", f"--partitions={PARTITIONS}", "--workers=2")
    try:
        assert run.wait() == 0, run.said()
    finally:
        run.end()
    mails = end_offsets(run.connection, f"{prefix}email-sends")
    return Kept(run, kafka.bootstrap_servers, prefix, folder, run.records(), mails)


def test_every_decision_and_send_comes_out_again(kept: Kept) -> None:
    """All of them, and none is without a partner; parts of the log are parts of it."""
    code, said, wrong = kept.replay()
    assert code == 0, said + wrong
    decisions, sends = kept.count("decision"), kept.count("send")
    assert f"{decisions:,} of {decisions:,} decisions" in said
    assert f"{sends:,} of {sends:,} sends" in said
    assert f"of {PARTITIONS} partitions" in said


def test_parts_of_the_log_are_asked_about(kept: Kept) -> None:
    """Stretches of offsets, times and customers: what they have adds up to the whole."""
    decisions = kept.count("decision")
    parts = kept.decisions()
    assert sum(parts) == decisions
    half = end_offsets(kept.run.connection, f"{kept.prefix}customer-log")[0] // 2
    assert kept.decisions(offsets=(0, half))[0] + kept.decisions(offsets=(half, 10**9))[0] == parts[0]
    middle = sorted(str(record["at"]) for record in kept.records if record["record"] == "decision")[decisions // 2]
    at = parse_instant(middle)
    halves = [sum(kept.decisions(within=Span(*span))) for span in ((-(2**63), at), (at, 2**63 - 1))]
    assert sum(halves) == decisions
    assert min(halves) > 0
    own = Counter(str(record["customer_id"]) for record in kept.records if record["record"] == "decision")
    someone, most = own.most_common(1)[0]
    assert sum(kept.decisions(customers=customer_keys([someone]))) == most


def test_other_definitions_are_tried_on_the_same_log(kept: Kept, tmp_path: Path) -> None:
    """The same definitions change nothing; without one of the workflows its messages are gone, and no other."""
    same = str(kept.folder / "world" / "definitions")
    code, said, wrong = kept.what_if("--definitions", same, "--compare")
    assert (code, "Nothing differs." in said) == (0, True), said + wrong
    edited = tmp_path / "edited"
    shutil.copytree(same, edited)
    lost = _without_a_workflow(edited, kept.records)
    output, page = tmp_path / "changes.ndjson", tmp_path / "page.html"
    code, said, wrong = kept.what_if(
        "--definitions", str(edited), "--compare", "--output", str(output), "--html", str(page)
    )
    assert code == 0, said + wrong
    changes = records(output.read_text())
    gone = {str(change["send_id"]) for change in changes if change["workflow_id"] == lost}
    assert gone == {
        str(record["send_id"])
        for record in kept.records
        if record["record"] == "send" and record["workflow_id"] == lost
    }
    assert lost in page.read_text()
    apart = _what_if_of_several(kept, edited, tmp_path)
    assert apart == (code, [line for line in said.splitlines() if " messages as recorded" not in line])
    assert (tmp_path / "apart.ndjson").read_bytes() == output.read_bytes()
    assert (tmp_path / "apart.html").read_bytes() == page.read_bytes()
    assert end_offsets(kept.run.connection, f"{kept.prefix}email-sends") == kept.mails, "nothing was sent"


def _what_if_of_several(kept: Kept, edited: Path, folder: Path) -> tuple[int, list[str]]:
    """Let three processes fold, a share of the customers each; return what is said but for how long it took."""
    files = ["--output", str(folder / "apart.ndjson"), "--html", str(folder / "apart.html")]
    code, said, wrong = kept.what_if("--definitions", str(edited), "--compare", "--processes=3", *files)
    assert "one process" not in wrong
    return code, [line for line in said.splitlines() if " messages as recorded" not in line]


def _without_a_workflow(folder: Path, known: list[Record]) -> str:
    """Delete the workflow that has sent most, and return its id."""
    sent = Counter(str(record["workflow_id"]) for record in known if record["record"] == "send")
    for name, _ in sent.most_common():
        for file in sorted(folder.glob("*.json")):
            if msgspec.json.decode(file.read_bytes()).get("id") == name:
                file.unlink()
                return name
    raise AssertionError("no workflow has sent anything")


def test_explain_tells_the_same_from_the_log_and_from_the_file(kept: Kept) -> None:
    """Read from the customer log with its marks, a customer's story is that of `simulate`'s engine over the file."""
    own = Counter(str(record["customer_id"]) for record in kept.records if record["record"] == "decision")
    world = kept.folder / "world"
    env = environment(kept.folder, kept.bootstrap, TIDINGS_TOPIC_PREFIX=kept.prefix)
    for someone, _ in own.most_common(2):
        live = tidings("explain", someone, env=env)
        assert live.returncode == 0, live.stderr
        up_to = live.stdout.partition("up to ")[2].partition("\n")[0]
        files = ["--definitions", str(world / "definitions"), "--events", str(world / "events.ndjson"), "--at", up_to]
        assert live.stdout == tidings("explain", someone, *files, env=env).stdout
    unknown = tidings("explain", "nobody-knows-her", env=env)
    assert unknown.returncode == 1
    assert "nothing is known of a customer nobody-knows-her" in unknown.stderr


def test_a_replay_goes_on_from_its_snapshots_also_when_the_log_before_is_gone(kept: Kept, tmp_path: Path) -> None:
    """The second time nothing is folded again; what Kafka deletes isn't missed, and without snapshots is named."""
    folder = str(tmp_path / "snapshots")
    code, said, _ = kept.replay("--snapshots", folder)
    assert (code, f"There is no folder {folder}: folding from the log's beginning" in said) == (0, True)
    code, said, _ = kept.replay("--snapshots", folder)
    assert (code, "folding from the log's beginning" in said) == (0, False)
    assert "Folded 0 records" in said
    assert _decisions(said) == kept.count("decision")
    log = f"{kept.prefix}customer-log"
    ends = end_offsets(kept.run.connection, log)
    tried = _tried_later(kept, tmp_path, ends[0] * 3 // 4)
    cut(kept.run.connection, log, 0, before=ends[0] // 2)
    assert first_offsets(kept.run.connection, log)[0] > 0
    told = kept.replay("--horizon", "--snapshots", folder)[1]
    assert "before it only by a snapshot" in told
    assert f"replay            possible; {PARTITIONS} of {PARTITIONS} partitions go on from a snapshot" in told
    assert "impossible: it needs the whole log, and the beginning of partition 0 is gone" in told
    code, said, wrong = kept.replay("--snapshots", folder)
    assert code == 0, said + wrong
    tried(folder)
    _explained_from(kept, folder)
    code, _, wrong = kept.replay("--partition=0")
    assert (code, "name a folder of snapshots with --snapshots" in wrong) == (1, True)
    code, _, wrong = kept.replay("--partition=0", "--snapshots", str(tmp_path / "none"))
    assert (code, "has no snapshot from there on" in wrong) == (1, True)


def _tried_later(kept: Kept, folder: Path, behind: int) -> Callable[[str], None]:
    """Try an edit of late while the log is whole; return what tries it again from snapshots, and compares."""
    edited, early, connection = folder / "edited", folder / "early", kept.run.connection
    shutil.copytree(kept.folder / "world" / "definitions", edited)
    _without_a_workflow(edited, kept.records)
    log, ends = f"{kept.prefix}customer-log", end_offsets(connection, f"{kept.prefix}customer-log")
    parts = {
        number: [log_record(one, number) for some in read_partition(connection, log, number, 0, end) for one in some]
        for number, end in ends.items()
    }
    at = next(one.timestamp for one in parts[0] if one.offset >= behind)
    catalogues = Catalogues(connection, kept.prefix, definitions_from_documents)
    for number, part in parts.items():
        stood = fold_until([part], {}, PARTITIONS, catalogues.load, at, 0)
        save_snapshot(early, Snapshot(topic_id=topic_ids(connection, [log])[log], partition=number, compared={},
                                      same={}, next_offset=stood.next_offset, memory=stood.memory))  # fmt: skip
    since = ["--definitions", str(edited), "--since", format_instant(at + HOUR_MS)]
    code, said, wrong = kept.what_if(*since, "--output", str(folder / "whole.ndjson"))
    assert code == 0, said + wrong

    def tried(late: str) -> None:
        code, said, wrong = kept.what_if(*since, "--output", str(folder / "begun.ndjson"), "--snapshots", str(early))
        assert code == 0, said + wrong
        assert "snapshots say where everybody stood" in said
        assert (folder / "begun.ndjson").read_bytes() == (folder / "whole.ndjson").read_bytes()
        code, _, wrong = kept.what_if(*since)
        assert (code, "name a folder of snapshots with --snapshots" in wrong) == (1, True)
        code, _, wrong = kept.what_if(*since, "--snapshots", late)
        assert (code, "name a later --since" in wrong) == (1, True)

    return tried


def _explained_from(kept: Kept, snapshots: str) -> None:
    """Who lives where the log has lost its beginning is explained from a snapshot, and not without one."""
    env = environment(kept.folder, kept.bootstrap, TIDINGS_TOPIC_PREFIX=kept.prefix)
    standing = read_standing(kept.run.connection, kept.prefix)
    someone = next(key for key in sorted(standing.states) if partition_of(key, PARTITIONS) == 0)
    name = someone.decode().removeprefix("c:")
    without = tidings("explain", name, env=env)
    assert (without.returncode, "name its folder with --snapshots" in without.stderr) == (1, True), without.stderr
    told = tidings("explain", name, "--snapshots", snapshots, env=env)
    assert told.returncode == 0, told.stderr
    assert "is deleted; a snapshot says where she stood then" in told.stdout


def test_what_is_not_the_rules_work_is_named(kept: Kept, tmp_path: Path) -> None:
    """A decision that somebody forged, and a mail that was written twice, are found, with what led there."""
    sent = next(iter(committed_messages(kept.run.connection, f"{kept.prefix}email-sends")))
    decided = max(
        (message for message in committed_messages(kept.run.connection, f"{kept.prefix}decisions")),
        key=lambda message: message.timestamp()[1],
    )
    forged = msgspec.json.decode(decided.value() or b"", type=Record) | {"decision_id": "forged"}
    producer = Producer({"bootstrap.servers": kept.bootstrap, "log_level": 0})
    for message, value in ((sent, sent.value()), (decided, msgspec.json.encode(forged))):
        producer.produce(
            message.topic() or "",
            key=message.key(),
            value=value,
            partition=1 if message is sent and message.partition() == 0 else message.partition() or 2,
            timestamp=message.timestamp()[1],
            headers=message.headers(),
        )
    assert producer.flush(60) == 0
    output = tmp_path / "differences.ndjson"
    code, said, wrong = kept.replay("--partition=1", "--partition=2", "--output", str(output))
    assert code == 1, said + wrong
    found = {str(line["id"]): line for line in records(output.read_text())}
    assert "forged" in found
    assert len(found) <= 2
    assert all(line["difference"] == "gone" for line in found.values())
    assert "only recorded" in said
    assert "state     before it, replayed" in said


@pytest.mark.parametrize(
    ("options", "right_code", "said"),
    [
        (["--compare"], 2, "go with --definitions"),
        (["--definitions", "/nowhere", "--partition=1"], 2, "is about everybody"),
        (["--definitions", "/nowhere", "--snapshots", "/nowhere"], 2, "name a --since behind them"),
        (["--since", "2026-02-01T00:00:00Z", "--snapshots", "/nowhere"], 1, "there is no folder /nowhere; name the"),
        (["--horizon", "--snapshots", "/nowhere"], 1, "leave the option out"),
        (["--partition=7"], 1, "the customer log has 3, numbered from 0"),
        (["--offsets", "5:2", "--partition=1"], 2, "the smaller first"),
        (["--offsets", "2:5"], 2, "name it with --partition"),
        (["--offsets", "1000000:1000001", "--partition=1"], 1, "holds 0 to before"),
        (["--since", "monday"], 2, "isn't an RFC 3339 time"),
        (["--since", "2026-02-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"], 2, "isn't before"),
        (["--customer", "nobody-knows-her"], 1, "nothing is known of nobody-knows-her"),
        (["--until", "1971-01-01T00:00:00Z"], 1, "the log begins at"),
        (["--since", "9999-01-01T00:00:00Z"], 1, "the log ends at"),
        (["--definitions", "/nowhere", "--html", "/nowhere/page.html"], 1, "there is no folder /nowhere"),
        (["--output", "/"], 1, "it is a folder"),
    ],
)
def test_nonsense_is_refused_in_words(kept: Kept, options: list[str], right_code: int, said: str) -> None:
    """Every refusal says what would be right, and nothing was folded."""
    code, told, wrong = kept.what_if(*options)
    assert code == right_code, wrong
    assert said in " ".join(wrong.replace("│", " ").split())
    assert "Folded" not in told


def _decisions(said: str) -> int:
    found = re.search(r"([\d,]+) of [\d,]+ decisions", said)
    return int(found[1].replace(",", "")) if found else 0
