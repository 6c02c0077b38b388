"""Findings: what a check saw, for which command it matters, and how to mend it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "missing"]  # works | works, but | does not work

# The commands that must work; what others need may be missing.
MAIN = ("prepare", "pretrain", "rl", "generate", "evaluate", "demo")
_STATE_WIDTH, _NAME_WIDTH = 9, 16  # characters


@dataclass(frozen=True)
class Finding:
    """What one check saw.

    Args:
        name: of the check.
        state: how it stands.
        found: what there is, in few words.
        needed_for: commands or settings that cannot do without.
        cure: how to mend it; "" where nothing is to be mended.
        asked: whether it is about something that was asked for by name.
    """

    name: str
    state: State
    found: str
    needed_for: Sequence[str] = ()
    cure: str = ""
    asked: bool = False

    @property
    def line(self) -> str:
        """The finding in one line."""
        needed = f"; needed for {', '.join(self.needed_for)}" if self.needed_for else ""
        more = f"{needed}: {self.cure}" if self.cure else ""
        return f"{self.state:<{_STATE_WIDTH}}{self.name:<{_NAME_WIDTH}}{self.found}{more}"


def stopped_commands(findings: Sequence[Finding]) -> list[str]:
    """Return the main commands that cannot work here."""
    stopped = {
        command
        for finding in findings
        if finding.state == "missing"
        for command in finding.needed_for
    }
    return [command for command in MAIN if command in stopped]


def unusable(findings: Sequence[Finding]) -> list[str]:
    """Return what was asked for by name and cannot be used."""
    return [finding.name for finding in findings if finding.asked and finding.state == "missing"]


def all_works(findings: Sequence[Finding]) -> bool:
    """Return whether the main commands can work, and what was asked for can be used."""
    return not stopped_commands(findings) and not unusable(findings)


def verdict(findings: Sequence[Finding]) -> str:
    """Return one line about all findings."""
    if all_works(findings):
        return f"the main commands can work here: {', '.join(MAIN)}"
    told = []
    if stopped := stopped_commands(findings):
        told.append(f"{', '.join(stopped)} cannot work here")
    if bad := unusable(findings):
        told.append(f"what you asked for cannot be used: {', '.join(bad)}")
    return f"{'; '.join(told)}; see what is missing above"


def as_values(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as plain values, for JSON."""
    return {
        "works": all_works(findings),
        "stopped": stopped_commands(findings),
        "unusable": unusable(findings),
        "checks": [asdict(finding) for finding in findings],
    }
