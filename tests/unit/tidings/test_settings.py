"""Settings are read from an environment once, and everything wrong with them is told at once."""

from pathlib import Path

import pytest

from streams.connection import Connection
from tidings.settings import Settings, SettingsError, read_settings


def problems(**environment: str) -> list[str]:
    """Return what is wrong with an environment."""
    with pytest.raises(SettingsError) as caught:
        read_settings(environment)
    return caught.value.problems


def test_an_empty_environment_gives_the_defaults() -> None:
    """Nothing said, and what doesn't concern us, gives the defaults; an empty value says nothing."""
    assert read_settings({"PATH": "/bin", "TIDINGS_PARTITIONS": "", "KAFKA_HEAP_OPTS": "x"}) == Settings()


def test_every_variable_fills_its_field(tmp_path: Path) -> None:
    """Each name fills one field."""
    secret, pem = tmp_path / "secret", tmp_path / "pem"
    secret.write_text("swordfish\n")
    pem.write_text("")
    settings = read_settings(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "a:9092,b:9093",
            "TIDINGS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "TIDINGS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "TIDINGS_KAFKA_SASL_USERNAME": "ann",
            "TIDINGS_KAFKA_SASL_PASSWORD_FILE": str(secret),
            "TIDINGS_KAFKA_SSL_CA": str(pem),
            "TIDINGS_KAFKA_SSL_CERT": str(pem),
            "TIDINGS_KAFKA_SSL_KEY": str(pem),
            "SCHEMA_REGISTRY_URL": "http://registry:8081",
            "TIDINGS_OUTPUT_FORMAT": "avro",
            "DATABASE_URL": "postgresql://db/tidings",
            "TIDINGS_TOPIC_PREFIX": "shop.",
            "TIDINGS_PARTITIONS": "4",
            "TIDINGS_DATA_DIR": str(tmp_path),
            "TIDINGS_LOG_LEVEL": "debug",
            "TIDINGS_LOG_FORMAT": "json",
            "TIDINGS_METRICS_HOST": "0.0.0.0",  # noqa: S104 -- text
            "TIDINGS_METRICS_PORT": "9464",
            "JAVA_HOME": "/opt/java",
        }
    )
    assert settings == Settings(
        bootstrap_servers="a:9092,b:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="ann",
        sasl_password="swordfish",
        ssl_ca=str(pem),
        ssl_cert=str(pem),
        ssl_key=str(pem),
        schema_registry_url="http://registry:8081",
        output_format="avro",
        database_url="postgresql://db/tidings",
        topic_prefix="shop.",
        partitions=4,
        data_dir=tmp_path,
        log_level="debug",
        log_format="json",
        metrics_host="0.0.0.0",  # noqa: S104 -- text
        metrics_port=9464,
        java_home=Path("/opt/java"),
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("TIDINGS_PARTITION", "TIDINGS_PARTITIONS"),
        ("TIDINGS_PREFIX", "TIDINGS_TOPIC_PREFIX"),
        ("TIDINGS_DATADIR", "TIDINGS_DATA_DIR"),
        ("TIDINGS_KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
        ("TIDINGS_SASL_PASSWORD", "TIDINGS_KAFKA_SASL_PASSWORD"),
    ],
)
def test_a_typing_error_in_a_name_is_told_with_the_nearest_name(written: str, meant: str) -> None:
    assert problems(**{written: "4"}) == [
        f"{written}: there is no such setting; did you mean {meant}? README.md lists all"
    ]


def test_a_name_that_is_like_none_is_an_error_of_one_line_too() -> None:
    """However far off, one name is the nearest; the rest is in the README. Names of the tests' own are no settings."""
    (far,) = problems(TIDINGS_XYZZY="4")
    assert far.startswith("TIDINGS_XYZZY: there is no such setting; did you mean ")
    assert far.count("TIDINGS_") <= 2
    assert read_settings({"TIDINGS_TEST_KAFKA": "testcontainers"}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost", "isn't host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,", "isn't host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka://a:1", "isn't host:port"),
        ("TIDINGS_PARTITIONS", "0", "isn't a whole number"),
        ("TIDINGS_PARTITIONS", "many", "isn't a whole number"),
        ("TIDINGS_TOPIC_PREFIX", "a b", "can't begin a topic's name"),
        ("TIDINGS_LOG_LEVEL", "loud", "is none of debug, info"),
        ("TIDINGS_KAFKA_SSL_CA", "/nowhere", "there is no file"),
        ("TIDINGS_KAFKA_SASL_PASSWORD_FILE", "/nowhere", "can't read"),
        ("TIDINGS_KAFKA_SECURITY_PROTOCOL", "TLS", "is none of"),
    ],
)
def test_a_value_that_cannot_be_is_told(name: str, value: str, reason: str) -> None:
    """A wrong value is named with its variable and with what would be right."""
    assert any(line.startswith(name) and reason in line for line in problems(**{name: value}))


def test_what_contradicts_itself_is_told() -> None:
    """Settings that are right alone and wrong together are refused."""
    assert any("KAFKA_BOOTSTRAP_SERVERS too" in line for line in problems(TIDINGS_KAFKA_SECURITY_PROTOCOL="SSL"))
    sasl = {"KAFKA_BOOTSTRAP_SERVERS": "a:1", "TIDINGS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
    assert len(problems(**sasl)) == 2
    assert any("not used with PLAINTEXT" in line for line in problems(TIDINGS_KAFKA_SASL_USERNAME="ann"))


def test_a_password_given_twice_is_refused(tmp_path: Path) -> None:
    """Which of two passwords holds isn't guessed."""
    secret = tmp_path / "secret"
    secret.write_text("b")
    told = problems(TIDINGS_KAFKA_SASL_PASSWORD="a", TIDINGS_KAFKA_SASL_PASSWORD_FILE=str(secret))
    assert any("not both" in line for line in told)


def test_everything_wrong_is_told_at_once() -> None:
    """Three mistakes are three lines."""
    assert len(problems(TIDINGS_PARTITIONS="x", TIDINGS_LOG_LEVEL="x", TIDINGS_X="x")) == 3


def test_no_password_is_ever_shown() -> None:
    """A settings object that lands in a log shows no secret, and neither does its connection."""
    settings = Settings(
        bootstrap_servers="a:1",
        sasl_password="swordfish",
        database_url="postgresql://u:swordfish@db",
    )
    assert "swordfish" not in f"{settings!r} {settings} {settings.connection()!r}"


def test_the_local_kafka_is_used_where_no_other_is_named() -> None:
    """The environment's brokers come first, then the local ones; with neither it is an error."""
    assert Settings().connection("127.0.0.1:1") == Connection(bootstrap_servers="127.0.0.1:1")
    assert Settings(bootstrap_servers="a:1").connection("127.0.0.1:1").bootstrap_servers == "a:1"
    with pytest.raises(SettingsError):
        Settings().connection()


@pytest.mark.parametrize(("text", "port"), [("0", 0), ("65535", 65_535), ("off", None)])
def test_a_process_can_be_asked_at_a_port_at_a_free_one_or_nowhere(text: str, port: int | None) -> None:
    assert read_settings({"TIDINGS_METRICS_PORT": text}).metrics_port == port


@pytest.mark.parametrize("text", ["65536", "-1", "on", "9 464"])
def test_what_is_no_port_is_told(text: str) -> None:
    assert "is no port" in problems(TIDINGS_METRICS_PORT=text)[0]
