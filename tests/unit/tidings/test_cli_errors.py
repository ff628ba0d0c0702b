"""What is wrong in arguments, files or the world is one clear sentence and an exit code, never a traceback."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from tidings import cli

WELCOME = Path(__file__).parents[3] / "examples" / "welcome"
EVENTS = WELCOME / "events.ndjson"
OF_WELCOME = ("--definitions", str(WELCOME), "--events", str(EVENTS))
MIB = 1024 * 1024

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Say:
    """Return a function that runs the program and returns exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TIDINGS_DATA_DIR", str(tmp_path / "nothing-here"))
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "TIDINGS_TOPIC_PREFIX"):
        monkeypatch.delenv(name, raising=False)

    def say(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tidings", *words])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        return code, out, err

    return say


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--until", "2026-03-12T08:14:59.999Z"), "--until 2026-03-12T08:14:59.999Z lies before the last event"),
        (("--events", "/nowhere/events.ndjson"), "can't read the events in /nowhere/events.ndjson: No such file"),
        (("--events", str(WELCOME)), "Is a directory"),
        (("--definitions", "/nowhere"), "/nowhere"),
        (("--definitions", str(EVENTS)), "events.ndjson"),
        (("--output", "/nowhere/records"), "can't write the records to /nowhere/records: No such file or directory"),
        (("--output", str(WELCOME)), "Is a directory"),
        (("--output", "/dev/full"), "can't write the records to /dev/full: No space left on device"),
    ],
)
def test_what_simulate_cannot_use_is_said_in_a_sentence(say: Say, words: tuple[str, ...], sentence: str) -> None:
    """A wrong argument, a file that can't be read or written: exit code 1 and why."""
    code, _, errors = say("simulate", *OF_WELCOME, *words)
    assert code == 1
    assert sentence in errors


@pytest.mark.parametrize(
    "words",
    [("--partitions", "0"), ("--public-partitions", "x"), ("--workers", "0"), ("--max-jump", "0"), ("--nonsense",)],
)
def test_flags_that_cannot_be_are_wrong_usage(say: Say, words: tuple[str, ...]) -> None:
    """A flag out of its range, or unknown, is exit code 2, and names the flag."""
    code, _, errors = say("run", *OF_WELCOME, *words)
    assert code == 2
    assert words[0] in errors


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        (("pause", "--channel", "fax"), "'fax' is not one of 'email', 'sms', 'push', 'social'"),
        (("apply", str(WELCOME), "--mode", "fly"), "'fly' is not one of 'pin', 'migrate', 'drain'"),
        (("executions", "cancel", "--nonsense"), "--nonsense"),
    ],
)
def test_a_word_that_is_none_of_the_choices_is_told_with_the_choices_alone(
    say: Say, words: tuple[str, ...], choices: str
) -> None:
    """What a library says before the sentence, for programmers, isn't told."""
    code, _, errors = say(*words)
    assert code == 2
    assert choices in errors
    assert "Value error" not in errors


def test_without_any_kafka_a_worker_says_how_to_get_one(say: Say) -> None:
    """Neither a local Kafka nor the name of another: exit code 1 and both ways out."""
    code, _, errors = say("worker", "--clock", "log")
    assert code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in errors
    assert "tidings kafka start" in errors


@pytest.mark.parametrize("command", ["worker", "ingest"])
def test_a_data_folder_that_cannot_be_is_said_with_its_name(
    say: Say, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that can't be made, as where one may not write: exit code 1, its name, and which setting is meant."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TIDINGS_DATA_DIR", str(tmp_path / "file" / "folder"))
    code, _, err = say(command)
    assert (code, "Traceback" in err) == (1, False), err
    assert f"can't use {tmp_path}/file/folder" in err
    assert "TIDINGS_DATA_DIR" in err


TEN_MISTAKES = {
    "1-not-yaml.yaml": "name: [",
    "2-unknown-kind.yaml": "kind: newsletter\nid: x",
    "3-no-steps.yaml": "name: Empty\ntriggers: []",
    "4-unknown-field.yaml": "kind: template\nid: t4\ncontent_template: x\ncolour: red",
    "5-no-template.yaml": """
id: w5
name: Five
triggers: [{type: behavioral, conditions: {event_type: signup}}]
steps: [{id: a, type: email, configuration: {template_id: nowhere}, next_steps: []}]
""",
    "6-no-step.yaml": """
id: w6
name: Six
triggers: [{type: behavioral, conditions: {event_type: signup}}]
steps: [{id: a, type: wait, configuration: {type: fixed_time, duration_hours: 1}, next_steps: [nowhere]}]
""",
    "7-operator.yaml": """
id: w7
name: Seven
triggers: [{type: behavioral, conditions: {event_type: signup, where: {field: plan, operator: resembles, value: x}}}]
steps: [{id: a, type: wait, configuration: {type: fixed_time, duration_hours: 1}, next_steps: []}]
""",
    "8-zone.yaml": "kind: settings\ndefault_timezone: Mars/Olympus",
    "9-time.yaml": """
id: w9
name: Nine
triggers: [{type: behavioral, conditions: {event_type: signup}}]
steps: [{id: a, type: wait, configuration: {type: until_time, target_time: "25:00"}, next_steps: []}]
""",
    "10-loop.yaml": """
id: w10
name: Ten
triggers: [{type: behavioral, conditions: {event_type: signup}}]
steps:
  - {id: a, type: action, configuration: {type: add_to_segment, segment_id: s}, next_steps: [b]}
  - {id: b, type: action, configuration: {type: remove_from_segment, segment_id: s}, next_steps: [a]}
---
kind: segment
id: s
""",
}


@pytest.mark.parametrize("command", ["validate", "simulate", "run"])
def test_all_mistakes_of_a_folder_are_told_at_once(say: Say, tmp_path: Path, command: str) -> None:
    """Ten files, each with a mistake of its own: ten files named, nothing run, exit code 1."""
    folder = tmp_path / "definitions"
    folder.mkdir()
    for name, text in TEN_MISTAKES.items():
        (folder / name).write_text(text)
    words = [str(folder)] if command == "validate" else ["--definitions", str(folder), "--events", str(EVENTS)]
    code, out, errors = say(command, *words)
    assert code == 1
    said = out + errors
    assert re.search(r"\b10 problems in 10 files\.", said), said
    assert all(name in said for name in TEN_MISTAKES)


def test_lines_that_are_no_events_are_dead_letters_and_the_rest_goes_on(say: Say, tmp_path: Path) -> None:
    """Rubbish of every kind in a file: one dead letter each, with the line's number, and all other lines count."""
    event = {"event_id": "e", "type": "page_viewed", "occurred_at": "2026-03-02T09:00:00Z", "customer_id": "ada"}
    bad = {
        "unreadable": b'{"event_id": ',
        "no_customer": _line(event, customer_id=None),
        "bad_time": _line(event, occurred_at="2026-03-02T09:00:00"),
        "too_large": _line(event, context={"x": "y" * MIB}),
        "clock_jump": _line(event, occurred_at="2099-01-01T00:00:00Z"),
        "not_text": b"\0" + _line(event),
        "unknown_topic": _line(event, topic="orders"),
        "invalid": _line(event, event_id=7),
    }
    more = [b"\xff\xfe" * 50, b"[]", _line(event, context={"x": "y" * 5 * MIB}), b"{" * 100_000]
    lines = [
        part
        for number, line in enumerate([*bad.values(), *more])
        for part in (_line(event, event_id=f"e{number}"), line)
    ]
    file, output = tmp_path / "events.ndjson", tmp_path / "records"
    file.write_bytes(b"\n".join(lines) + b"\n\n")
    code, _, errors = say("simulate", "--definitions", str(WELCOME), "--events", str(file), "--output", str(output))
    assert code == 0, errors
    assert f"{len(lines)} lines: {len(lines) // 2} events, {len(lines) // 2} dead letters" in errors
    records = [msgspec.json.decode(line) for line in output.read_bytes().splitlines()]
    letters = [record for record in records if record["record"] == "dead_letter"]
    assert [letter["line"] for letter in letters] == list(range(2, len(lines) + 1, 2))
    assert [letter["error_class"] for letter in letters][: len(bad)] == list(bad)
    assert all(letter["reason"] for letter in letters)


def test_the_file_of_events_is_never_written_over(say: Say, tmp_path: Path) -> None:
    """`--output` on the events themselves, also by another name, is refused before anything is written."""
    events, link = tmp_path / "events.ndjson", tmp_path / "link.ndjson"
    events.write_bytes(b"{}\n")
    link.symlink_to(events)
    for output in (events, link):
        arguments = ("--definitions", str(WELCOME), "--events", str(events), "--output", str(output))
        code, _, error = say("simulate", *arguments)
        assert (code, "is the file of events itself" in read_across(error)) == (2, True)
    assert events.read_bytes() == b"{}\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """`tidings simulate … | head -1` ends without a complaint."""
    argv = [sys.executable, "-m", "tidings.cli", "simulate", *OF_WELCOME]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait(60) == 0, errors
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


def test_an_interrupt_while_the_program_loads_ends_it_without_a_traceback() -> None:
    """Ctrl-C in the first second is as quiet as later."""
    argv = [sys.executable, "-X", "importtime", "-m", "tidings", "simulate", *OF_WELCOME]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stderr is not None
        for line in process.stderr:
            # Each module is told of when it is loaded; this is one of the first, and most are still to come.
            if "schemas.errors" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        # If the signal came late, all was loaded, and the program says that it was interrupted; or it was through.
        assert process.wait(60) in {-signal.SIGINT, 130, 0}, rest
    assert "Traceback" not in rest


def test_an_interrupt_while_the_command_line_is_put_together_ends_it_without_a_traceback() -> None:
    """The program is loaded by then, and the command hasn't begun."""
    code = """
import os, signal, typer.main
whole = typer.main.get_params_from_function
def interrupted(function):
    os.kill(os.getpid(), signal.SIGINT)
    return whole(function)
typer.main.get_params_from_function = interrupted
signal.signal(signal.SIGINT, signal.default_int_handler)
from tidings.__main__ import main
main()
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, "status"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_who_was_started_without_an_ear_for_interrupts_keeps_none() -> None:
    """A shell starts what is in the background so, and Ctrl-C means what is in front."""
    heard = "import signal, tidings.cli as cli; cli.main = lambda: print(signal.getsignal(signal.SIGINT).name)"
    code = f"{heard}; from tidings.__main__ import main; main()"
    argv = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    assert done.stdout == "SIG_IGN\n"


def _line(event: Mapping[str, object], **changed: object) -> bytes:
    return msgspec.json.encode({**event, **changed})


@pytest.mark.parametrize(
    ("words", "right_code", "sentence"),
    [
        (("--definitions-at", "soon"), 2, "--definitions-at soon: a time and a folder are wanted"),
        (("--definitions-at", "2026-03-01T00:00:00Z="), 2, "a time and a folder are wanted"),
        (("--definitions-at", f"yesterday={WELCOME}"), 2, "isn't an RFC 3339 time"),
        (("--definitions-at", "2026-03-01T00:00:00Z=/nowhere"), 1, "/nowhere"),
        (("--until", "yesterday"), 2, "--until: 'yesterday' isn't an RFC 3339 time"),
        (("--until", "2026-04-01T00:00:00"), 2, "--until: "),
    ],
)
def test_times_that_are_none_are_wrong_usage_and_folders_that_are_not_there_are_not(
    say: Say, words: tuple[str, ...], right_code: int, sentence: str
) -> None:
    """A time that is none can't be right anywhere: exit code 2; a folder might have been there: 1."""
    code, _, err = say("simulate", *OF_WELCOME, *words)
    assert (code, sentence in read_across(err)) == (right_code, True), err


def test_simulate_changes_the_definitions_on_the_way(say: Say, tmp_path: Path) -> None:
    """What starts behind the time of the next version is of that version; what started before stays on its own."""
    for file in WELCOME.glob("*.yaml"):
        text = file.read_text().replace("duration_hours: 72", "duration_hours: 48")
        (tmp_path / file.name).write_text(text)
    code, out, _ = say("simulate", *OF_WELCOME, "--definitions-at", f"2026-03-05T00:00:00Z={tmp_path}")
    versions = [msgspec.json.decode(line).get("workflow_version") for line in out.splitlines()]
    assert code == 0
    assert {1, 2} <= set(versions)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("apply", str(WELCOME)), "no Kafka: set KAFKA_BOOTSTRAP_SERVERS, or run `tidings kafka start`"),
        (("diff", str(WELCOME)), "no Kafka"),
        (("impact", str(WELCOME)), "no Kafka"),
        (("status",), "no Kafka"),
        (("pause", "--all"), "no Kafka"),
        (("apply", "/nowhere"), "/nowhere"),
    ],
)
def test_what_an_operator_has_not_is_said_in_a_sentence(say: Say, words: tuple[str, ...], sentence: str) -> None:
    """Without a Kafka or a folder: exit code 1, and what would be right."""
    code, _, err = say(*words)
    assert (code, sentence in err) == (1, True), err


TOGETHER = ("--definitions", str(WELCOME), "welcome_template_001")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("pause",), "say what to pause: a WORKFLOW, --channel or --all, one of them"),
        (("pause", "welcome", "--all"), "one of them"),
        (("resume",), "say what to resume"),
        (("executions", "cancel"), "say whose executions to cancel: --customer, --workflow, or both"),
        (("executions", "pause", "--execution", "x"), "--execution needs its --customer"),
        (("pause", "--all", "--at", "soon"), "--at: 'soon' isn't an RFC 3339 time"),
        (("explain", "ada", "--at", "soon"), "--at: 'soon' isn't an RFC 3339 time"),
        (("explain", "ada", "--events", str(EVENTS)), "--definitions and --events go together"),
        (("preview", *TOGETHER, "--customer", "ada"), "--customer ID and --events FILE belong together"),
        (("preview", *TOGETHER, "--attributes", "{"), "--attributes: expected a JSON object"),
        (("preview", *TOGETHER, "--properties", "[]"), "--properties: expected a JSON object"),
        (("doctor", "--from", ""), "--from '' is no address of mail"),
        (("dead-letters", "discard"), "say what to discard: IDs, --class, --topic, --since, or --all"),
        (("dead-letters", "retry", "--all", "--class", "invalid"), "--all is everything"),
        (("dead-letters", "retry", "a/0/1", "--class", "invalid"), "IDs say which are meant"),
        (("dead-letters", "retry", "--all", "--file", str(EVENTS)), "--file stands for one letter"),
        (("dead-letters", "list", "--since", "lately"), "30m, 24h, 7d"),
        (("status", "--process", "10.0.0.1:1"), "an address begins with http://"),
        (("worker", "--metrics-port", "high"), "--metrics-port: 'high' is no port"),
    ],
)
def test_options_that_cannot_be_together_are_wrong_usage(say: Say, words: tuple[str, ...], sentence: str) -> None:
    """Too much, too little, or a value that can be right nowhere: exit code 2 and typer's form, with our sentence."""
    code, _, err = say(*words)
    assert (code, sentence in read_across(err), "Usage: " in err, "--help" in err) == (2, True, True, True), err


@pytest.mark.parametrize("bytes_", [b"", b"\n\n", b"{}\n", b'{"type": "signup"}\nnonsense\n'])
def test_a_file_without_an_event_is_told_with_how_one_looks(say: Say, tmp_path: Path, bytes_: bytes) -> None:
    """Nothing can come of it, so whoever asked has named another file than was meant: exit code 1, records as ever."""
    file, output = tmp_path / "events.ndjson", tmp_path / "records"
    file.write_bytes(bytes_)
    code, _, err = say("simulate", "--definitions", str(WELCOME), "--events", str(file), "--output", str(output))
    assert (code, "so nothing happened. A line is one event as JSON" in err) == (1, True), err
    assert len(output.read_bytes().splitlines()) == bytes_.strip().count(b"\n") + bool(bytes_.strip())


def read_across(errors: str) -> str:
    """Return what is said in a box as one line."""
    return " ".join(errors.replace("│", " ").split())
