"""What trackers share: a run that is found again after a restart, settings as flat names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duet_rl.config import Config, to_yaml
from duet_rl.files import atomic_path
from duet_rl.observe.passwords import without_password

TRACKERS = "trackers.json"  # in the folder of a log: name of a tracker -> id of the run there


def known_run(folder: Path, tracker: str) -> str | None:
    """Return the id of the run that a stage's numbers went to before, if there is one."""
    return _read(folder).get(tracker)


def keep_run(folder: Path, tracker: str, run: str) -> None:
    """Remember the id of a run for a stage that goes on."""
    ids = {**_read(folder), tracker: run}
    with atomic_path(folder / TRACKERS) as temporary:
        temporary.write_text(json.dumps(ids, indent=2) + "\n")


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names.

    Example:
        >>> flat({"lr": 0.1, "replay": {"size": 8}})
        {'lr': 0.1, 'replay.size': 8}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def shown(config: Config) -> str:
    """Return settings as YAML for files and pages that others may see."""
    return without_password(to_yaml(config))


def _read(folder: Path) -> dict[str, str]:
    try:
        ids = json.loads((folder / TRACKERS).read_text())
    except (OSError, ValueError):  # none yet, or damaged: a new run is begun
        return {}
    return ids if isinstance(ids, dict) else {}
