"""Asks the endpoints of processes: for their health, and for what they count."""

import http.client
import math
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tidings.seeing.health import Health

ANSWER_S: Final = 2.0

Samples = dict[str, list[tuple[dict[str, str], float]]]
"""By name, what was measured under which labels; what isn't known isn't there."""


def ask_ready(url: str) -> Health | None:
    """Ask a process whether it is ready; None when nothing of ours answers there."""
    body = _get(url, "/ready")
    try:
        return None if body is None else msgspec.json.decode(body, type=Health)
    except msgspec.MsgspecError:
        return None


def ask_metrics(url: str) -> Samples | None:
    """Ask a process what it counts; None when nothing of ours answers there."""
    body = _get(url, "/metrics")
    samples: Samples = {}
    try:
        for family in text_string_to_metric_families((body or b"").decode()):
            for sample in family.samples:
                if not math.isnan(sample.value):
                    samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    except ValueError:
        return None
    return samples if any(name.startswith("tidings_") for name in samples) else None


def total(samples: Iterable[Samples], name: str) -> float:
    """Add up what several processes say of one thing, over all labels."""
    return sum(value for one in samples for _, value in one.get(name, ()))


def largest(samples: Iterable[Samples], name: str) -> float | None:
    """Return the largest of what several processes say of one thing; None when none says anything."""
    return max((value for one in samples for _, value in one.get(name, ())), default=None)


def _get(url: str, path: str) -> bytes | None:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        return None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
