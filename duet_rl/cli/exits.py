"""Exit codes of all commands, beside 0."""

BAD_INPUT = 2  # what was given cannot be used
NO_SPACE = 3  # the disk is full, or a file cannot be written
INTERRUPTED = 130  # Ctrl-C, as shells count it
