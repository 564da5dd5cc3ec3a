"""Write docs/reference/ from the code: job-file keys, commands, exit codes, Python, and benchmarks.

`make docs` runs it; a test fails if the pages in the repository are not what it writes.
A key's meaning is in the docstring of its settings class, as `key [unit]: meaning`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import FunctionType, UnionType
from typing import Any, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import typer

import aemodel
from aemodel.series.settings import AUTO
from flows.cli.app import app
from flows.errors import EXIT_CODES, EXPECTED, exit_code
from flows.jobs.settings import Job
from storage.units import format_bytes

FOLDER = Path(__file__).parent / "reference"
RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
GENERATED = "<!-- Written by docs/generate.py; change the code instead. -->\n"
NOT_KEYS = ("folder",)  # fields of Job that are not keys of a job file
TYPES = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "ByteSize": 'size, as `"256 MB"`',
    "timedelta": 'duration, as `"10 min"`',
    "ZoneInfo": 'time zone, as `"Europe/Berlin"`',
    "Rule": "rule",
    "WindowRows": 'integer or `"auto"`',
    "Pause": 'duration, as `"10 min"`, or number',
    "Baseline": "baseline",
}
UNSET = {"WindowRows": (AUTO, '"auto"'), "Pause": (math.inf, "none")}  # default, as shown


def job_page() -> str:
    """Every key of a job file, with type, unit, default, and meaning."""
    parts = [
        f"{GENERATED}# Job file\n",
        "One TOML file describes a job. `nightglass init` writes one, with its reasons as "
        "comments. Only `name` and `data.clean` are required. An unknown key is an error that "
        "suggests the closest known key. `train`, `encode`, and `score` accept overrides: "
        '`--set model.latent=8 --set "score.rule=fdr 0.1"`.\n',
        "More on [scores and columns](../scores.md), [rules and guarantees](../guarantees.md), "
        "[blocks and entities](../blocks-and-entities.md), [series](../series.md), and "
        "[bounds on errors](../latent-stores.md#error-bounds).\n",
    ]
    return "\n".join([*parts, *sections(Job, "")])


def sections(kind: type, prefix: str) -> Iterator[str]:
    """A table of the keys of a settings class, then those of the sections within."""
    hints = get_type_hints(kind)
    intro, documented = meanings(kind)
    fields = [field for field in dataclasses.fields(kind) if field.name not in NOT_KEYS]
    inner = {field.name: section for field in fields if (section := section_of(hints[field.name]))}
    rows = []
    for field in fields:
        if field.name not in inner or field.name in documented:
            unit, meaning = documented[field.name]
            shown = "section" if field.name in inner else type_words(hints[field.name])
            rows.append((f"`{field.name}`", shown, unit, default_of(field), meaning))
    yield f"## {f'[{prefix}]' if prefix else 'Top level'}\n\n{intro}\n"
    yield table(("key", "type", "unit", "default", "meaning"), rows)
    for name, section in inner.items():
        yield from sections(section, f"{prefix}.{name}" if prefix else name)


def meanings(kind: type) -> tuple[str, dict[str, tuple[str, str]]]:
    """What a class says of itself, and of each of its keys: (unit, meaning)."""
    text = " ".join((inspect.getdoc(kind) or "").split())
    keys = "|".join(field.name for field in dataclasses.fields(kind))
    found = re.split(rf"(?:^|(?<=\.) )((?:{keys})(?:, (?:{keys}))*)(?: \[([^]]+)\])?: ", text)
    intro, *parts = found
    documented = {
        key: (unit or "", sentence(meaning))
        for keys_named, unit, meaning in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        for key in keys_named.split(", ")
    }
    return sentence(re.sub(r"^\[[\w.]+\]: ", "", intro)), documented


def sentence(text: str) -> str:
    """The text with a capital letter."""
    return text[:1].upper() + text[1:]


def section_of(hint: Any) -> type | None:
    """The settings class of a key that is a section, also one that may be left out."""
    kind = get_args(hint)[0] if isinstance(hint, UnionType) else hint
    is_section = isinstance(kind, type) and dataclasses.is_dataclass(kind)
    return kind if is_section and kind.__name__.endswith("Settings") else None


def type_words(hint: Any) -> str:
    """The type of a key in words."""
    if get_origin(hint) is tuple:
        return f"list of {type_words(get_args(hint)[0])}s".replace("texts", "text")
    name = getattr(hint, "__name__", str(hint))
    return TYPES.get(name, name)


def default_of(field: dataclasses.Field[Any]) -> str:
    """The default of a key as a job file writes it."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{written(field.default_factory(), str(field.type))}`"
    if field.default is dataclasses.MISSING:
        return "required"
    return f"`{written(field.default, str(field.type))}`"


def written(value: Any, kind: str) -> str:
    """A value as TOML."""
    if kind in UNSET and value == UNSET[kind][0]:
        return UNSET[kind][1]
    if isinstance(value, timedelta):
        return f'"{value.total_seconds() / 60:g} min"'
    if dataclasses.is_dataclass(value):
        return "{}" if type(value).__name__.endswith("Settings") else f'"{value}"'
    if kind == "ByteSize":
        return f'"{format_bytes(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return str(list(value))
    return f'"{value}"' if isinstance(value, (str, ZoneInfo)) else f"{value}"


def commands_page() -> str:
    """Every command with its arguments and options."""
    parts = [
        f"{GENERATED}# Commands\n",
        "Results go to stdout, everything else to stderr. `--json` prints a single JSON object. "
        "Ctrl-C stops a command within two seconds, and a second one at once. "
        "[Exit codes](exit-codes.md) tell what happened.\n",
        "On a terminal, a bar shows each part that lasts, with rows done, rate, time left, and the "
        "loss of a training; elsewhere, `logs/` has a line every 30 seconds. Verdicts are in color "
        "unless `NO_COLOR` is set or output goes to a file.\n",
        "`nightglass --install-completion` sets up completion for the shell that runs it (bash, "
        "zsh, or fish); `nightglass --show-completion` prints the script instead. `nightglass "
        "--version` prints the version.\n",
    ]
    return "\n".join([*parts, *described(typer.main.get_command(app), "nightglass", None)])


def described(command: Any, name: str, parent: Any) -> Iterator[str]:
    """The help of a command, or of the commands of a group."""
    context = command.context_class(command, info_name=name, parent=parent)
    if hasattr(command, "commands"):
        for inner, each in command.commands.items():
            yield from described(each, inner, context)
        return
    text, _, example = inspect.cleandoc(command.help).partition("Example: ")
    usage = re.sub(r"\{(\w+)\}", r"\1", " ".join(command.collect_usage_pieces(context)))
    yield f"## {context.command_path}\n\n{text.strip()}\n"
    yield f"```\n{context.command_path} {usage}\n```\n"
    records = [param.get_help_record(context) for param in command.params]
    rows = [
        (f"`{re.sub(' <.+>', '', names)}`", escaped(words))
        for names, words in filter(None, records)
    ]
    yield table(("argument or option", "meaning"), rows)
    yield f"For example:\n\n```\n{' '.join(example.split())}\n```\n"


def exit_codes_page() -> str:
    """The exit codes, and the errors behind each."""
    codes = [(str(code), words) for code, words in EXIT_CODES.items()]
    kinds = {kind: None for base in EXPECTED for kind in with_subclasses(base)}
    errors = [(f"`{kind.__name__}`", str(code_of(kind)), summary(kind)) for kind in kinds]
    return "\n".join(
        [
            f"{GENERATED}# Exit codes\n",
            table(("code", "meaning"), codes),
            "## Errors\n\nEach error names the place, what was expected, what was found, and what "
            "to do. In Python, commands raise these:\n",
            table(("error", "exit code", "meaning"), errors),
        ]
    )


def benchmarks_page() -> str:
    """The tables of the last run of each benchmark."""
    parts = [
        f"{GENERATED}# Benchmarks\n",
        "The tables of the last run of each benchmark, from `benchmarks/results/`. "
        "`python benchmarks/record.py SCRIPT` runs one and keeps its tables; the README's figures "
        "are compared with them by a test. [Figures](../figures.md) and [detection "
        "benchmarks](../detection.md) say what they mean.\n",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"## {path.stem}\n")
        parts.append(f"`{found['command']}`, {found['machine']}; {found['origin']}.\n")
        parts += [table(each["head"], each["rows"]) for each in found["tables"]]
    return "\n".join(parts)


def with_subclasses(kind: type[Exception]) -> list[type[Exception]]:
    """A class, and all that derive from it."""
    return [kind, *(each for sub in kind.__subclasses__() for each in with_subclasses(sub))]


def code_of(kind: type[Exception]) -> int:
    """The exit code of a kind of error."""
    return exit_code(kind.__new__(kind))


def python_page() -> str:
    """The public classes of `aemodel`."""
    classes = [getattr(aemodel, name) for name in aemodel.__all__]
    return "\n".join([f"{GENERATED}# Python\n", *(class_text(each) for each in classes)])


def class_text(kind: type) -> str:
    """A class: its docstring, parameters, and public methods."""
    parameters = list(inspect.signature(kind).parameters.values())
    rows = [(f"`{each.name}`", f"`{each.default!r}`") for each in parameters]
    methods = [
        f"### {name}\n\n```\n{name}{plain_signature(method)}\n```\n\n{markdown(method)}\n"
        for name, method in vars(kind).items()
        if not name.startswith("_") and isinstance(method, (FunctionType, classmethod))
    ]
    head = f"## {kind.__name__}\n\n`from {aemodel.__name__} import {kind.__name__}`\n"
    return "\n".join([head, markdown(kind), table(("parameter", "default"), rows), *methods])


def plain_signature(method: Any) -> str:
    """The parameters of a method, without self and types."""
    function = getattr(method, "__func__", method)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return str(inspect.Signature(bare))


def markdown(documented: Any) -> str:
    """A docstring in NumPy's layout as Markdown."""
    text = inspect.getdoc(getattr(documented, "__func__", documented)) or ""
    text = re.sub(r"^(\w+)\n-+\n", r"**\1**\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^(\w+) : (.+)\n    ", r"- `\1` (\2): ", text, flags=re.MULTILINE)
    text = re.sub(r"(^>>>.*?)(?=\n\n|\Z)", fenced, text, flags=re.MULTILINE | re.DOTALL)
    return text + "\n"


def fenced(found: re.Match[str]) -> str:
    """An example as a block."""
    return f"```pycon\n{found[1].rstrip()}\n```"


def summary(kind: type) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; columns without any content are left out."""
    used = [index for index, _ in enumerate(head) if any(row[index] for row in rows)]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line[index] for index in used)} |\n" for line in lines)


def pages() -> dict[str, str]:
    """The pages by file name."""
    return {
        "job-file.md": job_page(),
        "commands.md": commands_page(),
        "exit-codes.md": exit_codes_page(),
        "python.md": python_page(),
        "benchmarks.md": benchmarks_page(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"written: {', '.join(pages())} in {FOLDER}\n")
