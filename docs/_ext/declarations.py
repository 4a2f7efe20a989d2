"""Pages made from the code, so that they cannot disagree with it.

`pages` makes one page for each step and pipeline from their declarations, one for the
command line from its parser and one for the life of a job from its table. As a Sphinx
extension this module writes them below ``_generated`` before anything is read, and
renders the docstrings of this project, which are plain text with backticks.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import os
import pkgutil
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from calwebbd.stages import pipelines
from calwebbd.stages.step import Pipeline, Step

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def pages() -> dict[str, str]:
    """Every generated page, in reStructuredText, by its path below ``_generated``."""
    loaded = [pipelines.load(name) for name in pipelines.NAMES]
    made = {f"pipelines/{each.name}.rst": pipeline_page(each) for each in loaded}
    made["pipelines/index.rst"] = index("Pipelines", [each.name for each in loaded])
    steps = used_by(loaded)
    made |= {f"steps/{name}.rst": step_page(step, users) for name, (step, users) in steps.items()}
    made["steps/index.rst"] = index("Steps", list(steps))
    made["command_line.rst"] = command_line_page()
    made["job_states.rst"] = job_states()
    return made


def used_by(loaded: Iterable[Pipeline]) -> dict[str, tuple[Step, list[str]]]:
    """Each step by name, in the order in which an exposure meets them, and the pipelines that have it."""
    found: dict[str, tuple[Step, list[str]]] = {}
    for pipeline in loaded:
        for step in pipeline.steps:
            known, users = found.setdefault(step.name, (step, []))
            if known is not step:
                raise ValueError(f"two steps are named {step.name}")
            users.append(pipeline.name)
    return found


def pipeline_page(pipeline: Pipeline) -> str:
    """What it reads and writes, and its steps in order."""
    rows = [
        (f"{n}", f":doc:`../steps/{step.name}`", step.keyword, step.summary)
        for n, step in enumerate(pipeline.steps, 1)
    ]
    facts = {
        "Reads": literals(pipeline.reads) + (", of one association" if pipeline.combines else ""),
        "Writes": literals(pipeline.writes),
        "Parameter reference": f"``{pipeline.pars}``",
    }
    if pipeline.lacking:
        facts["Not in this version, recorded as skipped"] = literals(tuple(pipeline.lacking))
    module = pipeline.function.__module__
    parts = [
        heading(pipeline.name, "="),
        f".. autodata:: {module}.{pipeline.function.__name__}\n   :no-value:",
        fields(facts),
        heading("Steps, in order", "-"),
        table(("", "Step", "Keyword", "What it does"), rows),
    ]
    own = list(parameters(pipeline.params))
    if own:
        parts += [heading("Parameters", "-"), table(("Name", "Type", "Default", "Meaning"), own)]
        parts.append(f"On the command line: ``--set {pipeline.name}.NAME=VALUE``.")
    return join(parts)


def step_page(step: Step, users: list[str]) -> str:
    """What it does, its references and parameters, and the functions beneath it."""
    facts = {
        "Status keyword": f"``{step.keyword}``" if step.keyword else "none; the service records its status",
        "Runs": "only if asked for (``skip=false``)" if step.skip else "unless ``skip=true``",
        "Pipelines": ", ".join(f":doc:`../pipelines/{name}`" for name in users),
        "Parameter reference": f"``{step.pars}``",
    }
    references = [(f"``{kind}``", "yes", "the step is skipped") for kind in step.references]
    rest = [kind for kind in step.optional if kind not in step.references]
    references += [(f"``{kind}``", "no", "the step does without") for kind in rest]
    declared = step.function
    parts = [
        heading(step.name, "="),
        f".. autodata:: {declared.__module__}.{declared.__name__}\n   :no-value:",
        fields(facts),
        heading("Reference files", "-"),
        table(("CRDS type", "Required", "If it is N/A"), references) or "None.",
        heading("Parameters", "-"),
        table(("Name", "Type", "Default", "Meaning"), list(parameters(step.params))) or "None of its own.",
        f"Every step also takes ``skip``, and ``override_TYPE`` for a reference file of one's own. "
        f"On the command line: ``--set {step.name}.NAME=VALUE``.",
        heading("Functions", "-"),
        *(f".. autofunction:: {name}" for name in functions(import_module(declared.__module__))),
    ]
    return join(parts)


def parameters(params: type) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each field of a step's parameters."""
    comments = field_comments(params)
    for each in dataclasses.fields(params):
        kind = each.type if isinstance(each.type, str) else inspect.formatannotation(each.type)
        default = "" if each.default is dataclasses.MISSING else repr(each.default)
        if each.default_factory is not dataclasses.MISSING:
            default = repr(each.default_factory())
        yield f"``{each.name}``", f"``{kind}``", f"``{default}``", escape(comments.get(each.name, ""))


def field_comments(params: type) -> dict[str, str]:
    """The ``#:`` comment of each field: behind it, or on the lines above it."""
    comments: dict[str, str] = {}
    for base in reversed(params.__mro__[:-1]):
        lines = textwrap.dedent(inspect.getsource(base)).splitlines()
        (body,) = ast.parse("\n".join(lines)).body
        assert isinstance(body, ast.ClassDef)
        for node in body.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                behind = lines[(node.end_lineno or node.lineno) - 1].partition("#:")[2].strip()
                comments[node.target.id] = behind or comment_above(lines[: node.lineno - 1])
    return comments


def comment_above(lines: list[str]) -> str:
    """The block of ``#:`` lines that ends here, in one line."""
    block: list[str] = []
    while lines and lines[-1].strip().startswith("#:"):
        block.insert(0, lines.pop().strip().removeprefix("#:").strip())
    return " ".join(block)


def functions(module: ModuleType) -> list[str]:
    """Public functions of a step's module, or of the modules of its package, by full name."""
    modules = [module]
    package = module.__name__.removeprefix("calwebbd.stages.steps.").split(".")[0]
    home = import_module(f"calwebbd.stages.steps.{package}")
    if hasattr(home, "__path__"):
        modules = [import_module(m.name) for m in pkgutil.iter_modules(home.__path__, f"{home.__name__}.")]
    return [
        f"{each.__name__}.{name}"
        for each in modules
        for name, value in vars(each).items()
        if inspect.isfunction(value) and value.__module__ == each.__name__ and not name.startswith("_")
    ]


def command_line_page() -> str:
    """What ``--help`` says, for every command."""
    from calwebbd.daemon.cli import parser

    parts = [heading("Command line", "=")]
    with patch.dict(os.environ, {"COLUMNS": "96", "NO_COLOR": "1"}):
        for each in commands(parser()):
            parts += [heading(each.prog, "-"), literal(each.format_help())]
    return join(parts)


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands, depth first."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in dict.fromkeys(action.choices.values()):
                yield from commands(each)


def job_states() -> str:
    """The table of a job's states, for inclusion."""
    from calwebbd.queues.job import TRANSITIONS

    rows = [(f"``{state}``", literals(sorted(to)) or "nothing") for state, to in TRANSITIONS.items()]
    return join([":orphan:", table(("State", "May become"), rows)])


# reStructuredText


def heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def fields(facts: dict[str, str]) -> str:
    return "\n".join(f":{name}: {value}" for name, value in facts.items())


def literals(words: Iterable[str]) -> str:
    return ", ".join(f"``{word}``" for word in words)


def index(title: str, names: list[str]) -> str:
    entries = "\n".join(f"   {name}" for name in names)
    return join([heading(title, "="), f".. toctree::\n   :maxdepth: 1\n\n{entries}"])


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A list-table; empty if there are no rows."""
    if not rows:
        return ""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [header, *rows]:
        lines += [f"   {'*' if n == 0 else ' '} - {cell}" for n, cell in enumerate(row)]
    return "\n".join(lines)


def literal(text: str) -> str:
    return ".. code-block:: text\n\n" + textwrap.indent(text.strip("\n"), "   ")


def join(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def escape(line: str) -> str:
    """Backticks are markup in our comments; nothing else is."""
    parts = re.split(r"(``.*?``|`.*?`)", line)
    special = re.compile(r"[*|\\]|(?<=\w)_(?!\w)")
    return "".join(part if n % 2 else special.sub(r"\\\g<0>", part) for n, part in enumerate(parts))


# docstrings


def plain_text(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Before napoleon: a declaration has its function's docstring; only backticks are markup."""
    if isinstance(obj, Step | Pipeline):
        lines[:] = [*(inspect.getdoc(obj.function) or "").splitlines(), ""]
    lines[:] = [escape(line) for line in lines]


ITEM = re.compile(r"(?P<names>[\w\\]+(?:, [\w\\]+)*) : (?P<text>.*)")


def item_lists(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """After napoleon: paragraphs of ``name : what it is`` become lists of definitions."""
    made: list[str] = []
    within = False
    for line in lines:
        item = ITEM.fullmatch(line)
        if item and (within or not made or not made[-1]):
            within = True
            made += [f"``{item['names']}``".replace("\\", ""), f"    {item['text']}"]
        elif within and line and not line[0].isupper():
            made.append(f"    {line.strip()}")
        else:
            if within and line:
                made.append("")
            within = False
            made.append(line)
    lines[:] = made


def write(app: Sphinx) -> None:
    """Write the pages, those alone that have changed, and remove what is no longer made."""
    folder = Path(app.srcdir) / "_generated"
    made = {folder / path: text for path, text in pages().items()}
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in set(folder.rglob("*.rst")) - made.keys():
        path.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write)
    app.connect("autodoc-process-docstring", plain_text, priority=400)
    app.connect("autodoc-process-docstring", item_lists, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
