"""The programs are no package: what they share is found beside them."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks"
if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))
