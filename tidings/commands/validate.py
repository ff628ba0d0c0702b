"""`tidings validate`: everything that is wrong with a folder of definitions, at once."""

from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from schemas.definitions import Definitions, Lifecycle, Scoring, Settings
from schemas.problems import Problem
from tidings.definitions_folder import LoadResult, load_folder


def validate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with definitions: *.yaml, *.yml, *.json.")],
) -> None:
    """Check a folder of definitions and say everything that is wrong; exit code 1 if anything is."""
    result = load_folder(folder)
    # A pipe gets every line whole, however narrow the terminal is that it doesn't have.
    console = Console(highlight=False, soft_wrap=True)
    report(console, result)
    if result.problems:
        raise typer.Exit(1)


def report(console: Console, result: LoadResult) -> None:
    """Print problems and warnings by file, then how many, or what the folder holds."""
    _print_problems(console, result.problems, "bold red")
    if result.warnings:
        console.print(Text("Warnings" if not result.problems else "Warnings besides", style="bold yellow"))
        _print_problems(console, result.warnings, "yellow")
    if result.definitions is None:
        console.print(Text(f"{_total(result.problems)}.", style="bold red"))
    else:
        console.print(Text(f"Valid: {summary(result.definitions)}.", style="bold green"))


def summary(definitions: Definitions) -> str:
    """Say what a set holds: "2 workflows, 6 templates, 1 segment, settings"."""
    counts = {
        "workflow": len(definitions.workflows),
        "template": len(definitions.templates),
        "segment": len(definitions.segments),
        "suppression": len(definitions.suppressions),
        "experiment": len(definitions.experiments),
    }
    counted = [_count(number, kind) for kind, number in counts.items() if number or kind == "workflow"]
    scoring = ["scoring"] if definitions.scoring != Scoring() else []
    lifecycle = ["lifecycle"] if definitions.lifecycle != Lifecycle() else []
    settings = ["settings"] if definitions.settings != Settings() else []
    return ", ".join(counted + scoring + lifecycle + settings)


def _print_problems(console: Console, problems: tuple[Problem, ...], style: str) -> None:
    for file, group in groupby(problems, key=lambda problem: problem.file):
        if file:
            console.print(Text(_printable(file), style="bold"))
        for problem in group:
            line = Text("  ")
            if problem.path.strip():
                line.append(f"{_printable(problem.path.strip(': '))}: ", style="cyan")
            line.append(_printable(problem.message), style=style)
            console.print(line)
            if problem.expected:
                console.print(Text(f"      expected: {_printable(problem.expected)}", style="dim"))


def _total(problems: tuple[Problem, ...]) -> str:
    files = len({problem.file for problem in problems if problem.file})
    return _count(len(problems), "problem") + (f" in {_count(files, 'file')}" if files else "")


def _printable(text: str) -> str:
    """Replace what a terminal would act upon; names of files can hold anything."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
