"""Runs `tidings replay` as a user would, over what a test has left in Kafka."""

import subprocess
from pathlib import Path

from tests.kafka.runs import environment, tidings


def replayed(bootstrap: str, prefix: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Replay the customer log of a prefix in one process."""
    return tidings("replay", "--processes=1", *options, env=environment(folder, bootstrap, TIDINGS_TOPIC_PREFIX=prefix))
