"""The one error that tells a person what is wrong with what they gave us."""

from collections.abc import Sequence

NAMED = 12  # of many names, those that a message tells


class InputError(ValueError):
    """Bad input from outside: a file, a setting, an option.

    Its message is one line that says what was found, what was wanted and what to do. The command
    line prints it and exits with code 2; a traceback would add nothing.
    """


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Return names in a row for a message: the first of many, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
