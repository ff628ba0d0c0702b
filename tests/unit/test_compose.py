"""docker-compose.yml says what the program understands; it is parsed here, since no engine may be at hand."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tidings.cli import app
from tidings.settings import read_settings

COMPOSE = YAML(typ="safe").load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
OURS = ("ingest", "worker")


@pytest.mark.parametrize("name", OURS)
def test_each_process_is_healthy_when_its_readiness_endpoint_says_so(name: str) -> None:
    """The check asks the port at which the settings of the container let it answer."""
    service = COMPOSE["services"][name]
    settings = read_settings(service["environment"])
    kind, program, *words = service["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python")
    assert f"http://127.0.0.1:{settings.metrics_port}/ready" in words[-1]
    compile(words[-1], "healthcheck", "exec")


@pytest.mark.parametrize("name", OURS)
def test_each_process_is_a_command_that_exists_and_is_given_time_to_end(name: str) -> None:
    service = COMPOSE["services"][name]
    assert CliRunner().invoke(app, [*service["command"], "--help"]).exit_code == 0
    assert int(service["stop_grace_period"].removesuffix("s")) > 18
    assert service["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert service["restart"] == "unless-stopped"


def test_kafka_is_healthy_when_it_answers_and_is_where_the_processes_look_for_it() -> None:
    kafka = COMPOSE["services"]["kafka"]
    assert kafka["healthcheck"]["test"][0] == "CMD"
    assert read_settings(COMPOSE["services"]["worker"]["environment"]).bootstrap_servers == "kafka:9092"
    assert "INSIDE://kafka:9092" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
