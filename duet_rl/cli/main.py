"""`duet-rl`: one command per thing a person does with a duet, and how faults are told."""

import errno
import logging
import os
from typing import Any

import typer
from typer.core import TyperGroup

from duet_rl.cli.commands import add_commands
from duet_rl.cli.exits import BAD_INPUT, INTERRUPTED, NO_SPACE
from duet_rl.cli.submit import submit
from duet_rl.errors import InputError
from duet_rl.observe import lines
from duet_rl.observe.passwords import without_password

# Errors of a disk that room, rights or another disk mend.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO}


class _Commands(TyperGroup):
    """Turns what a person can mend into one line and an exit code; the rest stays a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            _tell(getattr(error, "cause", None) or error)  # Ray wraps an error of a worker
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            _tell("stopped; the same command again goes on from what is saved, or starts anew")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                _tell(f"{error.strerror}: {error.filename}; give a shorter one")
                raise typer.Exit(BAD_INPUT) from None
            if error.errno not in _DISK:
                raise
            _tell(f"{error.strerror}: {error.filename or 'while writing'}; make room or rights")
            raise typer.Exit(NO_SPACE) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train and use a dance follower.",
)
add_commands(app)
app.command(context_settings={"allow_interspersed_args": False})(submit)


@app.callback()
def _start(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more about what happens."),
    log_json: bool = typer.Option(
        False, "--log-json", help="Log one JSON object a line, as with DUET_RL_LOG=json."
    ),
) -> None:
    if log_json:
        os.environ[lines.VARIABLE] = lines.JSON  # which reaches the workers
    level = logging.DEBUG if verbose else logging.WARNING
    if lines.are_wanted():
        lines.set_up(level)
    else:
        logging.basicConfig(level=level, format="%(name)s: %(message)s")
    logging.getLogger("duet_rl").setLevel(logging.DEBUG if verbose else logging.INFO)
    # Threads that wait give their processor to the other processes of a run.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    """Run the command line."""
    app()


def _tell(message: object) -> None:
    if lines.are_wanted():
        logging.getLogger("duet_rl").error("%s", message)
    else:
        typer.echo(f"duet-rl: {without_password(str(message))}", err=True)
