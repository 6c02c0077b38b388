"""What `--help` shows."""

import typer

from duet_rl.cli.main import app


def test_no_help_text_is_taken_for_markup() -> None:
    texts = {}
    pending = [("duet-rl", typer.main.get_command(app))]
    while pending:
        name, command = pending.pop()
        for parameter in command.params:
            texts[f"{name} {parameter.name}"] = getattr(parameter, "help", None) or ""
        for below, sub in getattr(command, "commands", {}).items():
            pending.append((f"{name} {below}", sub))
    assert len(texts) > 100
    swallowed = [where for where, text in texts.items() if "[default" in text]
    assert not swallowed, "square brackets are markup there: say what is usual in words"
