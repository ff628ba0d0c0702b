"""`tidings schema`: what an editor needs to complete and check definition files."""

from typing import Annotated

import msgspec
import typer

from schemas.json_schema import definitions_schema
from schemas.reference import reference


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The reference of all keys instead, as Markdown.")
    ] = False,
) -> None:
    """Print the JSON Schema of definition files; point your editor's YAML support to it."""
    text = reference() if markdown else msgspec.json.format(msgspec.json.encode(definitions_schema())).decode()
    typer.echo(text.rstrip("\n"))
