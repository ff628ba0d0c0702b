"""A Java that can't run Kafka is told before it is tried."""

from pathlib import Path

import pytest

from tidings.services.errors import ServiceError
from tidings.services.java import find_java


def java_that_prints(home: Path, words: str, code: int = 0) -> Path:
    """Make a JAVA_HOME whose java prints its version as javas do, to stderr."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit {code}\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize("words", ['openjdk version "17.0.15" 2025-04-15', 'java version "25" 2025-09-16'])
def test_a_java_that_is_new_enough_is_taken(tmp_path: Path, words: str) -> None:
    """17 and everything after it will do."""
    java = java_that_prints(tmp_path, words)
    assert find_java(tmp_path) == java


@pytest.mark.parametrize(("words", "major"), [('openjdk version "11.0.2"', "11"), ('java version "1.8.0_401"', "8")])
def test_a_java_that_is_too_old_is_told(tmp_path: Path, words: str, major: str) -> None:
    """The message names the version found, the version needed and the setting."""
    java_that_prints(tmp_path, words)
    with pytest.raises(ServiceError, match=f"(?s)Java {major} is too old.*Java 17.*JAVA_HOME"):
        find_java(tmp_path)


def test_a_java_that_is_missing_is_told(tmp_path: Path) -> None:
    """A JAVA_HOME without a Java says which it is."""
    with pytest.raises(ServiceError, match=r"JAVA_HOME is .* no bin/java"):
        find_java(tmp_path)


def test_a_java_that_does_not_run_is_told(tmp_path: Path) -> None:
    """What a broken Java says is passed on."""
    java_that_prints(tmp_path, "no such library", code=127)
    with pytest.raises(ServiceError, match="doesn't run: no such library"):
        find_java(tmp_path)
