"""Where the program begins: it loads the rest, which takes a second, and may be interrupted meanwhile."""

import signal


def main() -> None:
    """Load the command line, and run it."""
    # Nothing has begun that would have to be tidied up, so an interrupt may simply end the process. Python's own answer
    # is an exception wherever the loading is just then, and its traceback. Who was started without an ear for
    # interrupts, as in the background of a script, keeps none.
    answer = signal.getsignal(signal.SIGINT)
    if answer is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tidings.cli import main as run  # noqa: PLC0415 -- after the line above

    signal.signal(signal.SIGINT, answer)
    run()


if __name__ == "__main__":
    main()
