"""What stands on a terminal: text from elsewhere (values, names of files, what servers say), and numbers of things."""


def printable(text: str) -> str:
    """Replace what a terminal would act upon."""
    return "".join(character if character.isprintable() else "�" for character in text)


def counted(number: int, noun: str) -> str:
    """Say "1 order", "2,000 orders"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
