"""Finds a Java that can run Kafka."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tidings.services.errors import ServiceError

NEEDED: Final = 17
"""Brokers of Kafka 4 need Java 17 or newer (KIP-1013)."""


def find_java(java_home: Path | None) -> Path:
    """Return the path of a Java that is new enough.

    Args:
        java_home: where JAVA_HOME points, or None: then `java` is looked up on the path of commands.

    Raises:
        ServiceError: there is none, it doesn't run, or it is too old.
    """
    java = _java_of(java_home)
    run = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 -- java itself
    found = re.search(r'version "(?:1\.)?(\d+)', run.stderr)
    if run.returncode != 0 or found is None:
        lines = run.stderr.strip().splitlines()
        message = f"{java} doesn't run: {lines[-1] if lines else 'it says nothing'}"
        raise ServiceError(message)
    if int(found[1]) < NEEDED:
        message = (
            f"Java {found[1]} is too old: Kafka needs Java {NEEDED} or newer ({java}).\n"
            f"Install a JDK {NEEDED} and point JAVA_HOME to it."
        )
        raise ServiceError(message)
    return java


def _java_of(java_home: Path | None) -> Path:
    if java_home is not None:
        java = java_home / "bin" / "java"
        if java.is_file():
            return java
        message = f"JAVA_HOME is {java_home}, but there is no bin/java in it."
        raise ServiceError(message)
    found = shutil.which("java")
    if found is None:
        message = (
            f"Java is missing: Kafka needs a JDK {NEEDED} or newer.\n"
            "Install one (Debian, Ubuntu: openjdk-17-jdk-headless), or point JAVA_HOME to it."
        )
        raise ServiceError(message)
    return Path(found)
