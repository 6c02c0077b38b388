"""Log lines for programs: one JSON object a line, with run, stage, job and trial."""

import json
import logging
import os
import sys
from datetime import datetime, timezone
from typing import Any

from duet_rl.observe.passwords import without_passwords

VARIABLE = "DUET_RL_LOG"  # set to `json`, also for the workers of a cluster
JSON = "json"
_JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # what Ray tells the program of a job

_facts: dict[str, str] = {}  # of this process


def are_wanted() -> bool:
    """Return whether this process is to log JSON."""
    return os.environ.get(VARIABLE, "").lower() == JSON


def set_up(level: int) -> None:
    """Let everything that this process logs be lines of JSON on the standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def set_up_worker() -> None:
    """Do the same in a worker, if it is wanted; its lines go to Ray's files of the worker."""
    if are_wanted():
        set_up(logging.WARNING)
        logging.getLogger("duet_rl").setLevel(logging.INFO)


def this_is(**facts: str) -> None:
    """State what this process works on, `run`, `stage` or `trial`: each later line says so."""
    _facts.update(facts)


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object: time, level, logger, message, and what it is about.

    Times are ISO 8601 in UTC. `error` is a traceback, where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts,
            **_names(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(without_passwords(line), ensure_ascii=False)


def _names() -> dict[str, str]:
    """Return the name of the job that this process is of, if it is."""
    try:
        job = json.loads(os.environ.get(_JOB_VARIABLE, "{}"))["metadata"]["job_submission_id"]
    except (ValueError, KeyError, TypeError):  # no job
        return {}
    return {"job": str(job)}
