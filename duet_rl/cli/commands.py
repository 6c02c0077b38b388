"""The commands that run here or as a job: all but `submit`, which sends them."""

import typer

from duet_rl.cli import (
    audit,
    choreograph,
    convert,
    data,
    doctor,
    edit,
    evaluate,
    export,
    lab,
    live,
    status,
    train,
    tune,
    use,
    view,
)


def add_commands(app: typer.Typer) -> None:
    """Add every command to a command line."""
    app.add_typer(data.app, name="prepare")
    app.add_typer(convert.app, name="convert")
    app.add_typer(export.app, name="export")
    app.add_typer(lab.app, name="lab")
    app.command()(train.pretrain)
    app.command()(train.rl)
    app.command()(tune.tune)
    app.command()(train.config)
    app.command()(use.generate)
    app.command()(edit.edit)
    app.command()(choreograph.choreograph)
    app.command()(live.live)
    app.command()(evaluate.evaluate)
    app.command()(audit.audit)
    app.command()(use.demo)
    app.command()(status.status)
    app.command()(view.view)
    app.command()(doctor.doctor)
