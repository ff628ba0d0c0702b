"""The root of every error that Tidings raises on purpose."""


class TidingsError(Exception):
    """Say what is wrong and what to do about it; the program prints it without a traceback."""
