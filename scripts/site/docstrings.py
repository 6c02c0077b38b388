"""How our docstrings are read: `Example:` is Google's `Examples:`, and comments tell of fields."""

import re
from typing import Any

import griffe

_COMMENT = re.compile(r"\s+# (.*)$")
_FIELD = re.compile(r"Field\((?!default_factory|default=)(.*?)(?:, \w+=.*)?\)", re.S)
_LONGEST = 60  # characters of a default that is shown


class OurStyle(griffe.Extension):
    """Lays out single examples, and lists the fields of a class with their comments."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            text = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.M)
            obj.docstring.value = text
        elif isinstance(obj, griffe.Attribute) and obj.parent and obj.parent.is_module:
            if told := _comment_of(obj):  # a constant without a comment explains itself
                obj.docstring = griffe.Docstring(told, parent=obj)

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        if cls.docstring is None or "\nArgs:" in cls.docstring.value:
            return
        fields = [
            member
            for name, member in cls.members.items()
            if isinstance(member, griffe.Attribute)
            and member.annotation is not None
            and "property" not in member.labels
            and not name.startswith("_")
        ]
        if fields:
            rows = "\n".join(f"    {field.name}: {_told(field)}" for field in fields)
            cls.docstring.value = f"{cls.docstring.value.rstrip()}\n\nAttributes:\n{rows}"


def _told(field: griffe.Attribute) -> str:
    value = "" if field.value is None else str(field.value)
    default = _FIELD.sub(r"\1", value)
    shown = f"`{default}` by default." if default and len(default) < _LONGEST else ""
    shown = "" if default.startswith("Field(") else shown
    told = _comment_of(field)
    return " ".join(part for part in (told and told.rstrip(".") + ".", shown) if part) or "-"


def _comment_of(field: griffe.Attribute) -> str:
    """Return the comment that ends a field's lines, with the lines of comment before it."""
    if field.lineno is None or field.endlineno is None:
        return ""
    lines = field.lines_collection[field.filepath]
    above: list[str] = []
    for line in reversed(lines[: field.lineno - 1]):
        if not line.strip().startswith("# "):
            break
        above.insert(0, line.strip().removeprefix("# "))
    ends = dict.fromkeys((lines[field.lineno - 1], lines[field.endlineno - 1]))
    found = [match[1] for line in ends if (match := _COMMENT.search(line))]
    beside = [comment for comment in found if not comment.startswith(("type:", "noqa"))]
    comment = " ".join((*above, *beside))
    return comment[:1].upper() + comment[1:]
