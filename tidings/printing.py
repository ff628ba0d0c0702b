"""Text from elsewhere on a terminal: values, names of files, what servers say."""


def printable(text: str) -> str:
    """Replace what a terminal would act upon."""
    return "".join(character if character.isprintable() else "�" for character in text)
