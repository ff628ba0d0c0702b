"""What was found, and what to do about it."""

from typing import Literal

from msgspec import Struct

State = Literal["ok", "warn", "fail"]


class Finding(Struct, frozen=True, kw_only=True):
    """One line of the diagnosis."""

    about: str
    state: State
    found: str
    todo: str | None = None
    """What to do; None where all is well."""


def well(about: str, found: str) -> Finding:
    """Say that something is as it has to be."""
    return Finding(about=about, state="ok", found=found)


def doubtful(about: str, found: str, todo: str) -> Finding:
    """Say that something works, or couldn't be looked at, and may cause trouble."""
    return Finding(about=about, state="warn", found=found, todo=todo)


def wrong(about: str, found: str, todo: str) -> Finding:
    """Say that something keeps Tidings from working."""
    return Finding(about=about, state="fail", found=found, todo=todo)
