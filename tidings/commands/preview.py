"""`tidings preview`: one template as one customer would get it; nothing is sent."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from journeys.catalogue import compile_catalogue
from schemas.definitions import Template
from schemas.errors import TidingsError
from schemas.events import Json
from tidings.commands.options import load_valid_folder
from tidings.previewing import Preview, changed, person_in_file, preview, sample_person, template_named
from tidings.printing import printable
from tidings.usage import WrongUsage

FolderOption = Annotated[
    Path, typer.Option("--definitions", metavar="DIR", help="Folder of workflows, templates and settings.")
]
FileOption = Annotated[
    Path | None, typer.Option("--events", metavar="FILE", help="Events that make the customer what she is.")
]
CustomerOption = Annotated[
    str | None, typer.Option("--customer", metavar="ID", help="A customer of that file. Default: one made up.")
]
AttributesOption = Annotated[
    str, typer.Option("--attributes", metavar="JSON", help="Attributes of hers, laid over what is known.")
]
PropertiesOption = Annotated[
    str, typer.Option("--properties", metavar="JSON", help="Properties of the event that starts the workflow.")
]


def preview_command(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="The id of a template.")],
    definitions: FolderOption = Path(),
    events: FileOption = None,
    customer: CustomerOption = None,
    attributes: AttributesOption = "{}",
    properties: PropertiesOption = "{}",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where the HTML goes, to look at in a browser.")
    ] = None,
) -> None:
    """Show a template as a customer would get it: subject, text, and with --html the HTML. Nothing is sent."""
    found, shown = previewed(template, definitions, events, customer, attributes, properties)
    if html is not None and found.channel != "email":
        msg = f"--html: {found.id} is for {found.channel}, which has text alone"
        raise TidingsError(msg)
    _print(shown)
    if html is not None:
        _write(html, shown.content.html or "")


def previewed(
    template: str, folder: Path, events: Path | None, customer: str | None, attributes: str, properties: str
) -> tuple[Template, Preview]:
    """Render a template for the customer that the options name; what they hold wrong is told.

    Raises:
        TidingsError: an option can't be, or the template can't be rendered for her.
    """
    if (customer is None) is not (events is None):
        msg = "--customer ID and --events FILE belong together: the file's events make the customer"
        raise WrongUsage(msg)
    given = _read_object("--attributes", attributes), _read_object("--properties", properties)
    valid = load_valid_folder(folder).definitions
    found = template_named(template, valid)
    catalogue = compile_catalogue(valid, number=1)
    if customer is None or events is None:
        person = sample_person(found, valid)
    else:
        person = person_in_file(customer, events, found, valid, catalogue)
    shown = preview(found, changed(person, *given), catalogue)
    if shown.content.failure is not None:
        failure = shown.content.failure
        msg = f"{found.id} can't be rendered for {person.customer.customer_id}: {failure.message} ({failure.reason})"
        raise TidingsError(msg)
    return found, shown


def _read_object(option: str, text: str) -> dict[str, Json]:
    try:
        return msgspec.json.decode(text.encode(errors="replace"), type=dict[str, Json])
    except (msgspec.DecodeError, RecursionError):
        msg = f'{option}: expected a JSON object such as {{"first_name": "Ada"}}'
        raise WrongUsage(msg) from None


def _print(shown: Preview) -> None:
    console = Console(highlight=False, soft_wrap=True)
    content = shown.content
    is_valid = shown.email_status in (None, "valid")
    headers = {
        "From": shown.sender,
        "Reply-To": content.reply_to,
        "To": shown.to if is_valid else f"{shown.to} (email_status: {shown.email_status})",
        "Subject": content.subject or None,
    }
    for name, value in headers.items():
        if value is not None:
            console.print(Text(f"{name}: ", style="bold"), Text(printable(value)), sep="")
    console.print()
    console.print(Text("\n".join(printable(line) for line in content.text.split("\n"))))
    report_unfilled(shown)


def report_unfilled(shown: Preview) -> None:
    """Say on standard error what has no value, and what else was noticed."""
    notes, content = Console(stderr=True, highlight=False, soft_wrap=True), shown.content
    if content.missing:
        names = ", ".join(content.missing)
        notes.print(Text(f"It wouldn't go out: {names} has no value (missing_personalization).", style="bold red"))
    others = [name for name in content.unfilled if name not in content.missing]
    if others:
        notes.print(Text(f"No value for {', '.join(others)}: left out.", style="yellow"))
    for warning in shown.warnings:
        notes.print(Text(printable(warning), style="yellow"))


def _write(file: Path, html: str) -> None:
    try:
        file.write_text(html, encoding="utf-8", errors="replace")
    except OSError as error:
        msg = f"can't write the HTML to {file}: {error.strerror}"
        raise TidingsError(msg) from None
    typer.echo(f"The HTML is in {file}.", err=True)
