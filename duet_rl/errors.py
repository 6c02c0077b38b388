"""The one error that tells a person what is wrong with what they gave us."""


class InputError(ValueError):
    """Bad input from outside: a file, a setting, an option.

    Its message is one line that says what was found, what was wanted and what to do. The command
    line prints it and exits with code 2; a traceback would add nothing.
    """
