"""Configuration: YAML presets and `a.b=value` overrides become frozen pydantic models."""

import difflib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Tag, ValidationError

from duet_rl.errors import InputError

PRESET_SUFFIX = ".yaml"
BASED_ON = "based_on"  # key of a preset: another one, whose values it changes


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently take the last."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return node


class Config(BaseModel):
    """Base of every configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


AnyConfig = TypeVar("AnyConfig", bound=Config)


def preset_names() -> list[str]:
    """Return the names of the presets that ship with the package, sorted."""
    folder = resources.files("duet_rl") / "presets"
    return sorted(
        entry.name.removesuffix(PRESET_SUFFIX)
        for entry in folder.iterdir()
        if entry.name.endswith(PRESET_SUFFIX)
    )


def load_preset(name_or_path: str | Path) -> dict[str, Any]:
    """Return what a preset states: a shipped name (`tiny`) or the path of a YAML file.

    What it is `based_on`, a shipped name too, comes first; its own values are put over that.

    Raises:
        InputError: there is no such preset or file, or it is not a YAML mapping.
    """
    values = _read_preset(name_or_path)
    base = values.pop(BASED_ON, None)
    if base is None:
        return values
    if base not in preset_names() or base == str(name_or_path):
        raise InputError(
            f"{name_or_path} is based on {base!r}; the presets are {', '.join(preset_names())}"
        )
    return merge(load_preset(base), values)


def _read_preset(name_or_path: str | Path) -> dict[str, Any]:
    path = Path(name_or_path)
    if path.suffix in {PRESET_SUFFIX, ".yml"}:
        if not path.is_file():
            raise InputError(f"{path} does not exist; give a YAML file or one of {preset_names()}")
        text = read_yaml(path)
    elif str(name_or_path) in preset_names():
        text = (resources.files("duet_rl") / "presets" / f"{name_or_path}.yaml").read_text()
    else:
        raise InputError(
            f"no preset is called {str(name_or_path)!r}; the presets are "
            f"{', '.join(preset_names())}, or give the path of a .yaml file"
        )
    return parse_yaml(text, source=str(name_or_path))


def read_yaml(path: Path) -> str:
    """Return the text of a YAML file.

    Raises:
        InputError: it is no text.
    """
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text, and YAML in UTF-8 is wanted") from error


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """Return the mapping that `text` holds; `source` names it in errors."""
    try:
        values = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise InputError(f"{source} is not valid YAML: {where}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{source} holds a {type(values).__name__}; a mapping of keys is wanted")
    return values


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """Return nested values from `a.b=value` words; values are read as YAML.

    Example:
        >>> parse_overrides(["rl.lr=1e-4", "rl.loss=duolando"])
        {'rl': {'lr': '1e-4', 'loss': 'duolando'}}
    """
    tree: dict[str, Any] = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals or not all(key.split(".")):
            raise InputError(f"{word!r} is no override; write key.subkey=value")
        *parents, leaf = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise InputError(f"{word!r} sets a part of {parent!r}, which has a value already")
        node[leaf] = _parse_value(word, value)
    return tree


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `change` put over it, mapping by mapping."""
    merged = dict(base)
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def resolve(
    model: type[AnyConfig], preset: str | Path | None = None, overrides: Sequence[str] = ()
) -> AnyConfig:
    """Return the configuration from defaults, then a preset, then overrides.

    Raises:
        InputError: an unknown preset or key, or a value of the wrong kind; the message names it.
    """
    values = load_preset(preset) if preset is not None else {}
    return validate(model, merge(values, parse_overrides(overrides)), source=str(preset or ""))


def validate(model: type[AnyConfig], values: Mapping[str, Any], source: str = "") -> AnyConfig:
    """Return `values` as a `model`; every fault becomes one `InputError`."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        faults = "; ".join(_explain(model, fault) for fault in error.errors())
        prefix = f"{source}: " if source else ""
        raise InputError(f"{prefix}{faults}") from error


def import_named(name: str, key: str) -> Any:
    """Return what `package.module:name` is the name of; `key` is the setting that says so.

    Raises:
        InputError: there is no such module, or no such name in it.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute.isidentifier():
        raise InputError(f"{key} is {name!r}; write package.module:name")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and lacks one itself
        raise InputError(
            f"{key} is {name!r}, and there is no module {error.name!r}; install its package, or "
            "begin the command with PYTHONPATH=FOLDER"
        ) from error
    if not hasattr(found, attribute):
        raise InputError(
            f"{key} is {name!r}, and {found.__file__} has no {attribute!r}; define it there"
        )
    return getattr(found, attribute)


def to_yaml(config: Config) -> str:
    """Return every setting of `config` as YAML, in the order of its fields."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _parse_value(word: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"the value of {word!r} is not valid YAML; quote it") from error


def _explain(model: type[BaseModel], fault: Any) -> str:
    """Return one clause that says what is wrong and what would be right."""
    names, _ = _locate(model, fault["loc"])
    where = ".".join(names)
    if fault["type"] == "union_tag_invalid":
        context = fault["ctx"]
        return f"{where}: {context['tag']!r} is none of {context['expected_tags']}"
    if fault["type"] != "extra_forbidden":
        return f"{where}: {fault['msg']}, found {fault['input']!r}"
    _, holder = _locate(model, fault["loc"][:-1])
    allowed = sorted(getattr(holder, "model_fields", {}))
    close = difflib.get_close_matches(names[-1], allowed, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown key {where!r}; {hint}allowed here: {', '.join(allowed)}"


def _locate(model: type[BaseModel], location: tuple[Any, ...]) -> tuple[list[str], Any]:
    """Return the keys that a person wrote to get to `location`, and the sub-model there.

    Pydantic also names the kind of settings that it chose where there are several.
    """
    names: list[str] = []
    current: Any = model
    kinds: dict[Any, Any] = {}
    for part in location:
        if part in kinds:
            current, kinds = kinds[part], {}
            continue
        names.append(str(part))
        field = getattr(current, "model_fields", {}).get(part)
        if field is not None:
            current, kinds = _model_in(field.annotation), _kinds_in(field.annotation)
    return names, current


def _kinds_in(annotation: Any) -> dict[Any, Any]:
    """Return the models in a union whose members have tags, by tag; it may be inside a tuple."""
    kinds: dict[Any, Any] = {}
    for member in getattr(annotation, "__args__", ()):
        marks = getattr(member, "__metadata__", ())
        tags = [mark.tag for mark in marks if isinstance(mark, Tag)]
        kinds |= {tag: _model_in(member) for tag in tags} or _kinds_in(member)
    return kinds


def _model_in(annotation: Any) -> Any:
    """Return the pydantic model inside an annotation such as `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
