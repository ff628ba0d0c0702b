"""The endpoint of a process: what it counts, whether it lives, whether it is ready."""

from collections.abc import Callable

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter

from streams.vitals import State, Vitals
from tidings.seeing.endpoint import EndpointError, Views, open_endpoint
from tidings.seeing.health import Health, liveness, readiness

WELL = Health(ok=True, state="working", reasons=[])
ILL = Health(ok=False, state="working", reasons=["no progress for 31 s"])


def opened(live: Health = WELL, ready: Health = WELL, registry: CollectorRegistry | None = None) -> Callable[[str], httpx.Response]:  # fmt: skip
    """Open an endpoint, and return how to ask it."""
    url = open_endpoint(
        "127.0.0.1", 0, Views(registry=registry or CollectorRegistry(), live=lambda: live, ready=lambda: ready)
    )
    return lambda path: httpx.get(url + path, timeout=20)


def test_live_and_ready_answer_for_themselves() -> None:
    """A process can live and not be ready; the status is what a probe looks at, the reasons are for people."""
    ask = opened(live=WELL, ready=ILL)
    assert (ask("/live").status_code, ask("/ready").status_code) == (200, 503)
    assert msgspec.json.decode(ask("/ready").content, type=Health) == ILL


def test_metrics_are_in_the_format_of_the_field() -> None:
    registry = CollectorRegistry()
    Counter("tidings_events", "Events.", ["by"], registry=registry).labels('a "b"').inc(3)
    answer = opened(registry=registry)("/metrics")
    assert answer.status_code == 200
    assert 'tidings_events_total{by="a \\"b\\""} 3.0' in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/../etc/passwd"])
def test_there_is_nothing_else(path: str) -> None:
    assert opened()(path).status_code == 404


def test_a_port_that_is_taken_is_told_with_the_way_out() -> None:
    views = Views(registry=CollectorRegistry(), live=lambda: WELL, ready=lambda: WELL)
    port = int(open_endpoint("127.0.0.1", 0, views).rpartition(":")[2])
    with pytest.raises(EndpointError, match="--metrics-port") as caught:
        open_endpoint("127.0.0.1", port, views)
    assert str(port) in str(caught.value)


def test_an_address_that_is_not_ours_is_told() -> None:
    views = Views(registry=CollectorRegistry(), live=lambda: WELL, ready=lambda: WELL)
    with pytest.raises(EndpointError, match="TIDINGS_METRICS_HOST"):
        open_endpoint("192.0.2.1", 0, views)


@pytest.mark.parametrize(
    ("state", "kafka", "why"),
    [
        ("starting", None, "starting"),
        ("joining", None, "no partitions yet"),
        ("recovering", None, "2 of its partitions"),
        ("stopping", None, "stopping"),
        ("working", "Kafka doesn't answer at k:9092", "Kafka doesn't answer"),
    ],
)
def test_who_does_not_work_is_alive_and_not_ready(state: State, kafka: str | None, why: str) -> None:
    """Ending a process wouldn't bring Kafka back, nor make it ready sooner."""
    vitals = Vitals()
    vitals.state, vitals.recovering = state, 2
    ready = readiness(vitals, kafka)
    assert not ready.ok
    assert why in ready.reasons[0]
    assert liveness(vitals).ok


def test_who_works_is_ready_and_who_is_stuck_is_neither() -> None:
    vitals = Vitals(limit_s=30.0, stop=lambda _: None)
    vitals.note({}, 0, 0.0, "")
    assert readiness(vitals, None) == WELL
    vitals.note({}, 0, 31.0, "a batch isn't finished")
    vitals.judge(0.0)
    assert not readiness(vitals, None).ok
    assert liveness(vitals).reasons == ["no progress for 31 s: a batch isn't finished"]
