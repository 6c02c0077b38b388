"""What an audit leaves in a folder: every number, and the heat map."""

import json
from pathlib import Path

from duet_rl.audit.plot import draw_audit
from duet_rl.audit.results import Audit, as_csv
from duet_rl.files import atomic_path

TABLE, ROWS, PLOT = "audit.json", "audit.csv", "audit.png"


def write_audit(audit: Audit, folder: Path | str) -> None:
    """Write every number as JSON and CSV, and the heat map, into `folder`."""
    folder = Path(folder)
    with atomic_path(folder / TABLE) as temporary:
        temporary.write_text(json.dumps(audit.to_json(), indent=1, allow_nan=False) + "\n")
    with atomic_path(folder / ROWS) as temporary:
        temporary.write_text(as_csv(audit))
    draw_audit(audit, folder / PLOT)
