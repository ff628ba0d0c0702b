"""Templates of messages."""

from typing import Literal

from msgspec import Struct

from schemas.decisions import Channel
from schemas.definitions.conditions import Condition
from schemas.definitions.words import Name


class ContentVariant(Struct, frozen=True, kw_only=True):
    """One content of a dynamic rule."""

    content: str
    """HTML, in the language of the template; it holds no other dynamic content."""
    condition: Condition | None = None
    """When it is chosen; without one, always."""


class DynamicContentRule(Struct, frozen=True, kw_only=True):
    """Replaces a placeholder by the first variant whose condition holds."""

    content_variants: tuple[ContentVariant, ...]
    """What may stand there; the first whose condition holds does."""
    condition: Condition | None = None
    """When there is anything at all; otherwise the placeholder is removed."""
    placeholder: str | None = None
    """The text that is replaced, by default `{dynamic_content_<id>}`."""


Engine = Literal["fields", "liquid", "mjml", "mjml_liquid"]
"""What a template is written in: `{field}` or Liquid, in HTML or in MJML."""


class Template(Struct, frozen=True, kw_only=True, tag_field="kind", tag="template"):
    """The content of a message; what it is written in says `engine`."""

    id: Name
    """The name that steps call it by."""
    content_template: str
    """The HTML, or the MJML, of an e-mail; the text on other channels."""
    name: str = ""
    """What people call it."""
    channel: Channel = "email"
    """The channel it is for."""
    subject_template: str = ""
    """The subject; on push the title."""
    text_template: str | None = None
    """The text part of an e-mail; made from the HTML when absent."""
    personalization_fields: tuple[Name, ...] = ()
    """Names that must have a value, or the message doesn't go out (`missing_personalization`)."""
    dynamic_content_rules: dict[str, DynamicContentRule] = {}
    """By their id; each replaces its placeholder, by default `{dynamic_content_<id>}`."""
    from_: str | None = None
    """The sender, such as `Shop <hello@shop.example>`; default: `default_from` of the settings."""
    reply_to: str | None = None
    """Where answers go, if not to the sender."""
    preheader: str | None = None
    """What a mailbox shows beside the subject; hidden in the mail itself."""
    engine: Engine = "fields"
    """`{name}` in HTML, Liquid in HTML, `{name}` in MJML, or Liquid in MJML."""
    a_b_test_variants: tuple[str, ...] = ()
    """Candidates for the subject; until one is predicted, the subject is the template's own, else the first of them."""
