"""How a new version of the catalogue treats the executions that are under way."""

from typing import Final, Literal

from msgspec import Struct

Mode = Literal["pin", "migrate", "drain"]
Gone = Literal["exit", "park"]


class Editing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for when a version was applied."""

    mode: Mode = "pin"
    """`pin`: they run to their end on their version. `migrate`: they move to the new one. `drain`: as `pin`, and while
    a customer has one of an edited workflow she starts no other."""
    step_map: dict[str, str] = {}
    """For `migrate`, `workflow/step` as it was, and the id of the step that now stands for it."""
    gone: Gone = "exit"
    """For `migrate`, what becomes of an execution whose step is gone: it ends, or stays where it is, paused."""


PINNED: Final = Editing()
