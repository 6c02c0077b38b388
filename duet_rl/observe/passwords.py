"""Texts and settings without the passwords in their URIs; the command line imports it at once."""

import re
from collections.abc import Mapping
from typing import Any

# `//user:password@`: the password ends at the last `@` before the path, and may hold one itself.
_PASSWORD = re.compile(r"(//[^\s/:@'\"]*):[^\s/'\"]*@")
_QUERY = re.compile(r"([?&](?:password|passwd|pwd|token|secret|api_key|apikey)=)[^\s&#'\"]+", re.I)
_HIDDEN = "***"


def without_password(text: str) -> str:
    """Return a text whose URIs name no passwords: it goes to logs that others read.

    A user name without a password stays.

    Example:
        >>> without_password("no answer from https://ana:secret@host:5000/x")
        'no answer from https://ana:***@host:5000/x'
    """
    return _QUERY.sub(rf"\1{_HIDDEN}", _PASSWORD.sub(rf"\1:{_HIDDEN}@", text))


def without_passwords(values: Any) -> Any:
    """Return settings as plain values, with `without_password` done to every text in them.

    Example:
        >>> without_passwords({"log": {"uri": "postgresql://ana:secret@host/db"}, "lr": 0.1})
        {'log': {'uri': 'postgresql://ana:***@host/db'}, 'lr': 0.1}
    """
    if isinstance(values, str):
        return without_password(values)
    if isinstance(values, Mapping):
        return {key: without_passwords(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [without_passwords(value) for value in values]
    return values
