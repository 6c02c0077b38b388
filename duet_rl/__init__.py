"""Train and use a dance follower: `duet_rl.load(checkpoint).follow(leader, music)`.

See docs/python.md. Nothing is imported before it is asked for, so that `import duet_rl` is instant.
"""

TYPE_CHECKING = False  # what type checkers take for true; the name in `typing` takes time to import
if TYPE_CHECKING:
    from duet_rl.api.compare import compare
    from duet_rl.api.dance import Dance
    from duet_rl.api.model import Model, load
    from duet_rl.body.motion import Duet, Motion
    from duet_rl.errors import InputError
    from duet_rl.mocap.read import read_motion

    __version__: str

__all__ = [
    "Dance",
    "Duet",
    "InputError",
    "Model",
    "Motion",
    "__version__",
    "compare",
    "load",
    "read_motion",
]

_PLACES = {
    "Dance": "duet_rl.api.dance",
    "Duet": "duet_rl.body.motion",
    "InputError": "duet_rl.errors",
    "Model": "duet_rl.api.model",
    "Motion": "duet_rl.body.motion",
    "compare": "duet_rl.api.compare",
    "load": "duet_rl.api.model",
    "read_motion": "duet_rl.mocap.read",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("duet-rl")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value  # the next time it is there
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
