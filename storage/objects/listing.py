"""Which objects of a bucket a path names: one, all below a prefix, or those that a glob matches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile

from storage.objects.paths import ObjectPath

WILD = "*?["  # marks of a glob
IsHidden = Callable[[str, bool], bool]  # takes a name, and whether it is a folder's


def find_objects(path: ObjectPath, is_hidden: IsHidden) -> list[ObjectPath]:
    """Return the objects that `path` names, sorted; hidden ones only where a glob spells them."""
    fixed = len([*takewhile(lambda part: not {*WILD} & {*part}, path.parts)])
    pattern = path.parts[fixed:]
    root = ObjectPath(*path.parts[:fixed])
    if not pattern and root.is_file():
        return [root]
    return [found for found in root.objects() if _is_meant(found, root, pattern, is_hidden)]


def _is_meant(
    found: ObjectPath, root: ObjectPath, pattern: Sequence[str], is_hidden: IsHidden
) -> bool:
    parts = found.relative_to(root).parts
    spelled = [part for part in pattern if part.startswith((".", "_"))]
    hidden = [part for part in parts[:-1] if is_hidden(part, True)]
    hidden += [part for part in parts[-1:] if is_hidden(part, False)]
    return _matches(parts, pattern) and all(
        any(fnmatchcase(part, each) for each in spelled) for part in hidden
    )


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a pattern matches an object or a folder above it; "**" stands for any folders."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(parts[at:], pattern[1:]) for at in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
