"""Raw documents: what can be said of one before, or although, it can't be read as a definition."""

import re
import unicodedata

from msgspec import Struct

from schemas.events import Json
from schemas.problems import Spot


class Document(Struct, frozen=True, kw_only=True):
    """One raw document: `prefix` is what its paths begin with, where its file holds several ("document 2: ")."""

    file: str
    value: Json
    prefix: str = ""

    @property
    def spot(self) -> Spot:
        """The place of the document as a whole."""
        return Spot(self.file, self.prefix)


def kind_of(value: Json) -> str | None:
    """Return the kind that a document claims to be."""
    kind = value.get("kind", "workflow") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def id_of(value: Json) -> str | None:
    """Return the id that a document has, or that its name gives."""
    given, name = text_at(value, "id"), text_at(value, "name")
    if given is None and name is not None and kind_of(value) == "workflow":
        return slug(name) or None
    return given


def text_at(value: Json, key: str) -> str | None:
    """Return the text under a key, or None."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def items_at(value: Json, key: str) -> list[Json]:
    """Return the list under a key; empty where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def step_ids(value: Json) -> list[str | None]:
    """Return the id of each step, None where it has no readable one."""
    return [text_at(step, "id") for step in items_at(value, "steps")]


def trigger_ids(value: Json) -> list[str | None]:
    """Return the id of each trigger, by default its position."""
    return [
        str(position) if isinstance(trigger, dict) and trigger.get("id") is None else text_at(trigger, "id")
        for position, trigger in enumerate(items_at(value, "triggers"))
    ]


def slug(name: str) -> str:
    """Make an id of a name: lower case, letters and digits, hyphens between; empty where nothing is left."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"[\W_]+", "-", letters).strip("-")
