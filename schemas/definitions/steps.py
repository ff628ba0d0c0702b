"""Steps: what they have in common, around the configuration of each type."""

from msgspec import Struct

from schemas.definitions.actions import ActionConfiguration
from schemas.definitions.branches import DecisionConfiguration
from schemas.definitions.conditions import Condition
from schemas.definitions.experiments import ExperimentConfiguration
from schemas.definitions.messages import (
    ChannelConfiguration,
    EmailConfiguration,
    MessageConfiguration,
    PushConfiguration,
    SmsConfiguration,
    SocialConfiguration,
)
from schemas.definitions.waits import WaitConfiguration
from schemas.definitions.words import Name


class ChannelStep(Struct, frozen=True, kw_only=True):
    """Sends one message on one channel; ends when it is out or refused."""

    id: Name
    """Its name, once in a workflow; decisions and `next_steps` call it so."""
    configuration: ChannelConfiguration
    """What it does."""
    next_steps: tuple[Name, ...] = ()
    """The steps that follow; several run side by side, none ends the path."""
    conditional_logic: Condition | None = None
    """When this is false as the step begins, the step is skipped and its `next_steps` follow."""


class EmailStep(ChannelStep, frozen=True, kw_only=True, tag_field="type", tag="email"):
    """Sends one e-mail."""

    configuration: EmailConfiguration
    """What it does."""


class SmsStep(ChannelStep, frozen=True, kw_only=True, tag_field="type", tag="sms"):
    """Sends one text message."""

    configuration: SmsConfiguration
    """What it does."""


class PushStep(ChannelStep, frozen=True, kw_only=True, tag_field="type", tag="push"):
    """Sends one push notification."""

    configuration: PushConfiguration
    """What it does."""


class SocialStep(ChannelStep, frozen=True, kw_only=True, tag_field="type", tag="social"):
    """Sends one message to the customer's account in a social network."""

    configuration: SocialConfiguration
    """What it does."""


class MessageStep(Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """Sends a message on the customer's active channels; ends when each has been used or refused."""

    id: Name
    """Its name, once in a workflow; decisions and `next_steps` call it so."""
    configuration: MessageConfiguration
    """What it does."""
    next_steps: tuple[Name, ...] = ()
    """The steps that follow; several run side by side, none ends the path."""
    conditional_logic: Condition | None = None
    """When this is false as the step begins, the step is skipped and its `next_steps` follow."""


class WaitStep(Struct, frozen=True, kw_only=True, tag_field="type", tag="wait"):
    """Lets time pass, or waits for an event."""

    id: Name
    """Its name, once in a workflow; decisions and `next_steps` call it so."""
    configuration: WaitConfiguration
    """What it does."""
    next_steps: tuple[Name, ...] = ()
    """The steps that follow; several run side by side, none ends the path."""
    conditional_logic: Condition | None = None
    """When this is false as the step begins, the step is skipped and its `next_steps` follow."""


class DecisionStep(Struct, frozen=True, kw_only=True, tag_field="type", tag="decision"):
    """Chooses a branch; `next_steps` are refused."""

    id: Name
    """Its name, once in a workflow; decisions and `next_steps` call it so."""
    configuration: DecisionConfiguration
    """What it does."""
    next_steps: tuple[Name, ...] = ()
    """Refused: its branches say what follows."""
    conditional_logic: Condition | None = None
    """When this is false as the step begins, the step is skipped and its `next_steps` follow."""


class ActionStep(Struct, frozen=True, kw_only=True, tag_field="type", tag="action"):
    """Changes something about the customer or the execution."""

    id: Name
    """Its name, once in a workflow; decisions and `next_steps` call it so."""
    configuration: ActionConfiguration
    """What it does."""
    next_steps: tuple[Name, ...] = ()
    """The steps that follow; several run side by side, none ends the path."""
    conditional_logic: Condition | None = None
    """When this is false as the step begins, the step is skipped and its `next_steps` follow."""


class ExperimentStep(Struct, frozen=True, kw_only=True, tag_field="type", tag="experiment"):
    """Chooses a measured branch; `next_steps` are refused."""

    id: Name
    """Its name, once in a workflow; decisions and `next_steps` call it so."""
    configuration: ExperimentConfiguration
    """What it does."""
    next_steps: tuple[Name, ...] = ()
    """Refused: its variants say what follows."""
    conditional_logic: Condition | None = None
    """When this is false as the step begins, the step is skipped and its `next_steps` follow."""


Step = EmailStep | SmsStep | PushStep | SocialStep | MessageStep | WaitStep | DecisionStep | ActionStep | ExperimentStep
