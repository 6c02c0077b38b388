"""Plans: edits that another program, or a person, has written as JSON."""

import json
from pathlib import Path

from duet_rl.captions.edits import EditPlan
from duet_rl.config import validate
from duet_rl.errors import InputError
from duet_rl.files import require_file


def read_plan(path: Path | str) -> EditPlan:
    """Return the edits in a JSON file.

    Raises:
        InputError: no file, no JSON, or edits that mean nothing; says which key is wrong.
    """
    path = require_file(path, "a plan of edits")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is no JSON ({error}); write edits as docs/editing.md says"
        ) from error
    if not isinstance(values, dict):
        raise InputError(f'{path} holds a {type(values).__name__}; wanted {{"edits": [...]}}')
    return validate(EditPlan, values, source=str(path))
