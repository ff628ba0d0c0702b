"""A workflow is backfilled while everything runs: traffic, a worker that is killed, a rebalance, a command that is."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.catalogues import read_versions
from agents.merged_log import merged_log
from agents.outcomes import Outcome
from agents.replaying import reach_of
from agents.standing import read_standing
from agents.world import LogRecord, World
from journeys.catalogue import compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.decisions import Send
from schemas.events import Json
from schemas.instants import MINUTE_MS, format_instant
from schemas.linking import LINK
from schemas.log import SOURCE, CatalogueMark, Tick, decode_mark, header
from schemas.topics import CUSTOMER_LOG
from streams.topics import committed_offsets, end_offsets
from tests.journey import Document, mail, until_event, wait, workflow
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.live import WITHIN_S, Live
from tests.kafka.runs import PROGRAM, tidings
from tidings.clock import monotonic_s, pause, wall_ms
from tidings.supervisor import RestartPolicy, Supervisor

PEOPLE = 30
MOST_TRAFFIC = 600
"""It ends at last, so that everybody has a moment in which nothing comes, however busy the machine is."""
SHORT_MINUTES = 3_000 / MINUTE_MS
HELLO: Document = {"kind": "template", "id": "hello", "subject_template": "Hello", "content_template": "<p>Hi</p>"}
OLD = workflow(wait("while", "mail", duration_minutes=SHORT_MINUTES), mail(), id="old")
# Its wait is the last: on a machine with much else to do it may be over late, and nothing may come of that.
NEW = workflow(
    mail("first", "order"),
    until_event("order", "order_completed", "second"),
    mail("second", "short"),
    wait("short", "third", duration_minutes=SHORT_MINUTES),
    mail("third"),
    id="new",
)
Standing = dict[str, list[tuple[str, list[str], str]]]


@pytest.fixture
def live(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Live]:
    with Supervisor(tmp_path / "log", policy=RestartPolicy(most_restarts=1_000)) as supervisor:
        yield Live(kafka, prefix, tmp_path, supervisor)


def test_it_stands_for_everybody_where_it_would_if_it_had_been_there_from_the_beginning(live: Live) -> None:
    """What goes out is what would have, each message once, and replay makes all of it again."""
    live.apply("before", [OLD, HELLO])
    [first] = read_versions(live.connection, live.prefix)
    began_at = first.at
    live.start("ingest")
    live.start("worker")
    for number in range(PEOPLE):
        live.publish("signup", f"c{number}")
        if number % 3 == 0:
            live.publish("order_completed", f"c{number}")
    wait_for(live, live.all_is_ingested, "the past is in the log")
    after = live.write("after", [OLD, HELLO, NEW])
    words = (
        "backfill", "new", f"--since={format_instant(began_at)}", f"--definitions={after}", "--past-sends=all",
        "--fresh-hours=1",
    )  # fmt: skip
    over, came = threading.Event(), list[str]()
    traffic = threading.Thread(target=publish_until, args=(live, over, came))
    with live.watched():
        traffic.start()
        try:
            hand_over(live, words)
        finally:
            over.set()
            traffic.join()
        everybody = {f"c{number}" for number in range(PEOPLE)} | set(came)
        wait_for(live, live.all_is_ingested, "everything is in the log")
        wait_for(
            live,
            lambda: {one.customer_id for one in live.sends("old")} >= everybody,
            "the old workflow mailed everybody",
        )
        wait_for(live, lambda: {one.customer_id for one in live.sends("new")} >= everybody, "the new one has, too")
        wait_for(live, lambda: {one.send_id for one in live.sends("new")} >= as_if(live)[1], "every message is there")
        wait_for(live, lambda: is_all_folded(live), "all is folded")
        live.stop("ingest", "worker", "other")
    expected, sends = as_if(live)
    found = {
        customer.customer_id: standing(customer)
        for _, customer in read_standing(live.connection, live.prefix).customers()
    }
    assert found == expected
    assert sorted(one.send_id for one in live.sends("new")) == sorted(sends)
    replayed = live.say("replay")
    assert "sends came out again" in replayed, replayed
    assert "differ" not in replayed, replayed
    again = tidings(*words, env=live.env)
    assert again.returncode == 0, again.stderr
    assert "Nothing to do" in again.stdout


def test_whoever_stops_it_hears_that_it_is_not_over_and_how_it_goes_on(live: Live) -> None:
    """Two who are becoming one wait for a worker, and none runs, so it can't end by itself."""
    live.apply("before", [OLD, HELLO])
    [first] = read_versions(live.connection, live.prefix)
    live.start("ingest")
    for number in range(8):
        live.publish("signup", f"c{number}")
    for number in range(7):
        live.merge(f"c{number + 1}", into="c0")
    wait_for(live, live.all_is_ingested, "the past is in the log")
    after = live.write("after", [OLD, HELLO, NEW])
    words = ("backfill", "new", f"--since={format_instant(first.at)}", f"--definitions={after}")
    begun = subprocess.Popen(  # noqa: S603
        [str(PROGRAM), *words], env=live.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_for(live, lambda: len(read_versions(live.connection, live.prefix)) > 1, "the hand-over is begun")
    begun.send_signal(signal.SIGTERM)
    _, errors = begun.communicate(timeout=WITHIN_S)
    assert begun.returncode == 128 + signal.SIGTERM, errors
    assert "The backfill of workflow new isn't over. Say the same again" in errors
    again = f"tidings backfill new --since {format_instant(first.at)} --definitions DIR"
    assert again in live.say("status")
    refused = tidings("apply", str(live.folder / "before"), "--yes", env=live.env)
    assert refused.returncode == 1
    assert again in refused.stderr
    assert "begin without their past, as asked" in live.say(*words, "--leave-rest")
    assert again not in live.say("status")
    live.stop("ingest")


def publish_until(live: Live, over: threading.Event, came: list[str]) -> None:
    """Publish as customers come and go, until the other thread has had enough."""
    for number in range(MOST_TRAFFIC):
        if over.is_set():
            return
        if number % 4 == 0:
            came.append(f"n{number}")
            live.publish("signup", came[-1])
        else:
            live.publish("order_completed" if number % 4 == 1 else "page_viewed", f"c{number % PEOPLE}")
        pause(0.05)


def hand_over(live: Live, words: tuple[str, ...]) -> None:
    """Begin, kill the command once it is begun, kill a worker and let another come, and say the same again."""
    first = subprocess.Popen(  # noqa: S603
        [str(PROGRAM), *words], env=live.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(
        live,
        lambda: first.poll() is not None or len(read_versions(live.connection, live.prefix)) > 1,
        "the hand-over is begun",
    )
    first.kill()
    first.wait(WITHIN_S)
    live.supervisor._children["worker"].send(signal.SIGKILL)
    argv = [str(PROGRAM), "worker", "--folder", str(live.folder / "other")]
    live.supervisor.start("other", argv, environment=live.env)
    deadline = monotonic_s() + WITHIN_S
    while (done := said(live, words)).returncode:
        # Somebody had something come all the time, or no worker was there: nothing else is a reason.
        assert "Say the same again" in done.stdout, done.stdout
        assert monotonic_s() < deadline, done.stdout


def said(live: Live, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run the command while the processes are looked after."""
    with (live.folder / "said").open("w+") as file:
        running = subprocess.Popen(  # noqa: S603
            [str(PROGRAM), *words], env=live.env, stdout=file, stderr=subprocess.STDOUT
        )
        wait_for(live, lambda: running.poll() is not None, "the command ends")
        file.seek(0)
        text = file.read()
    assert "Traceback" not in text, text
    return subprocess.CompletedProcess(words, running.returncode, text)


def wait_for(live: Live, reached: Callable[[], bool], what: str) -> None:
    """Look again and again until it is so; who was killed is started again meanwhile."""
    deadline = monotonic_s() + WITHIN_S
    while not reached():
        live.supervisor.poll()
        assert monotonic_s() < deadline, f"not within {WITHIN_S} s: {what}"
        pause(0.05)


def is_all_folded(live: Live) -> bool:
    log = live.prefix + CUSTOMER_LOG
    return committed_offsets(live.connection, f"{live.prefix}worker", log) == end_offsets(live.connection, log)


def as_if(live: Live) -> tuple[Standing, set[str]]:
    """Fold the log as if the workflow had always been there; return where everybody stands, and what it has sent."""
    documents: list[Json] = [OLD, HELLO, NEW]
    world = World(compile_catalogue(definitions_from_documents(documents), 1, answers_webhooks=False))
    sends, seen = set[str](), set[bytes]()
    for record in merged_log(live.connection, live.prefix, reach_of(live.connection, live.prefix, {})):
        source = header(record.headers, SOURCE)
        if source is not None and source in seen:
            continue
        seen |= set() if source is None else {source}
        sends |= _sent(_taken(world, record))
    sends |= _sent(world.pass_time(wall_ms()))
    engine = world.engine
    customers = [customer for key in engine.table.keys() if (customer := engine.table.peek(key))]  # noqa: SIM118
    return {customer.customer_id: standing(customer) for customer in customers}, sends


def _sent(outcomes: list[Outcome]) -> set[str]:
    effects = [effect for outcome in outcomes for effect in outcome.effects]
    return {effect.send_id for effect in effects if isinstance(effect, Send) and effect.workflow_id == "new"}


def _taken(world: World, record: LogRecord) -> list[Outcome]:
    if record.key is not None:
        assert not record.headers or record.headers[0][0] != LINK, "nobody is merged here"
        return world.take(record)
    mark = decode_mark(record.value or b"")
    assert not isinstance(mark, CatalogueMark) or mark.number <= 2
    return world.pass_time(record.timestamp) if isinstance(mark, Tick) else []


def standing(customer: Customer) -> list[tuple[str, list[str], str]]:
    """Return a customer's executions of the new workflow: where they stand, or how the last one ended."""
    under_way = [
        (one.execution_id, [visit.step_id for visit in one.branches], "")
        for one in customer.executions
        if one.workflow_id == "new"
    ]
    over = [(one.execution_id, list[str](), one.reason) for name, one in customer.ended.items() if name == "new"]
    return sorted(under_way + over)
