"""The run-time checker of shapes and types that the tests put on our packages."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ForwardRef, Literal, get_args, get_origin

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# The numeric tower lets an `int` stand where `float` is written.
typechecked = beartype(
    conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError)
)

_jaxtyped = jaxtyping.jaxtyped
_shapes = _jaxtyped("context")  # in which a letter means one size


def check(packages: list[str]) -> None:
    """Check every annotated function of `packages`, which are imported later."""
    jaxtyping.jaxtyped = _checked_once
    install_import_hook(packages, f"{__name__}.typechecked")


def _checked_once(fn: Any = None, *, typechecker: Any = None) -> Any:
    """Do what `jaxtyping.jaxtyped` does, in a third of its time.

    It checks arguments twice, by functions that it makes for that, to say which one is wrong; the
    checker says so too. Left to it are dataclasses, functions that only begin when they are called,
    and names of types in quotes, which only it lets pass when they are not imported.
    """
    if fn is None:
        return functools.partial(_checked_once, typechecker=typechecker)
    if not inspect.isfunction(fn) or _only_begins(fn) or _quoted(*fn.__annotations__.values()):
        return _jaxtyped(fn, typechecker=typechecker)
    checked = typechecked(fn)

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return fn(*args, **kwargs)
        with _shapes:
            return checked(*args, **kwargs)

    return fn if checked is fn else wrapped


def _only_begins(fn: Callable[..., Any]) -> bool:
    kinds = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(is_kind(fn) for is_kind in kinds)


def _quoted(*annotations: Any) -> bool:
    return any(
        isinstance(one, str | ForwardRef)
        or (get_origin(one) is not Literal and _quoted(*get_args(one)))
        for one in annotations
    )
