"""The demo's text: what every CPython carries, read from the running interpreter.

Three sources: the language reference topics behind ``help()``, the standard library's sources without
their docstrings, and those docstrings. No two sources share a text, and a module's source and its
docstrings are always on the same side of the split. The trainer reads one side, the mirror's
``a360/demo-heldout`` the other.
"""

import ast
import hashlib
import re
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

from a360.errors import DataError

LANGUAGE_REFERENCE = "language-reference"
STDLIB_SOURCE = "stdlib-source"
DOCSTRINGS = "docstrings"
SOURCES = (LANGUAGE_REFERENCE, STDLIB_SOURCE, DOCSTRINGS)

HELDOUT_SHARE = {LANGUAGE_REFERENCE: 0.3, STDLIB_SOURCE: 0.1, DOCSTRINGS: 0.1}
"""The language reference is small, so a larger share of it is needed for enough held-out documents."""

MIN_CHARS = 300
LEFT_OUT = {
    *(
        "__phello__",
        "distutils",
        "encodings",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "test",
        "tests",
    ),
    *("site-packages", "dist-packages", "sitecustomize", "usercustomize", "tkinter", "turtledemo", "venv"),
}
"""Not in every distribution's Python, written by machines, or the language reference once more."""

_HEADING = re.compile(r"^(?P<title>\S[^\n]*)\n(?P<rule>([*=\-~\"])\3{3,})$", re.MULTILINE)
_OPENING_COMMENTS = re.compile(r"\A(?:#[^\n]*\n|\s*\n)+")
"""Licence headers repeat from module to module and would be known text on the held-out side."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One text. ``name`` is a dotted module or a section of a topic; (source, name) is unique."""

    source: str
    name: str
    text: str


@cache
def read_documents() -> tuple[Document, ...]:
    """Every document of the running interpreter, sorted by source and name.

    Raises:
        DataError: when this Python keeps no sources of its standard library.
    """
    documents = [*_language_reference(), *_standard_library(Path(sysconfig.get_paths()["stdlib"]))]
    return tuple(sorted(documents, key=lambda document: (document.source, document.name)))


def split_documents(documents: Sequence[Document]) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """(train, held out), by a hash of the name alone: adding or removing documents moves no other."""
    heldout = tuple(document for document in documents if is_heldout(document))
    train = tuple(document for document in documents if not is_heldout(document))
    return train, heldout


def is_heldout(document: Document) -> bool:
    """True where the hash of the name falls into the source's held-out share."""
    return name_hash(document.name) < HELDOUT_SHARE[document.source]


def name_hash(name: str) -> float:
    """A number in [0, 1) that depends on the name only."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def _language_reference() -> Iterator[Document]:
    """Sections of the topics. Topics quote each other whole, so each section is taken once."""
    seen: set[str] = set()
    for topic in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        for number, section in enumerate(_sections(topics[topic])):
            body = section.partition("\n")[2].lstrip('*=-~"\n ').rstrip()
            if len(section) >= MIN_CHARS and body not in seen:
                yield Document(source=LANGUAGE_REFERENCE, name=f"{topic}/{number}", text=section + "\n")
            seen.add(body)


def _sections(text: str) -> Iterator[str]:
    starts = [match.start() for match in _HEADING.finditer(text)]
    for start, end in zip([0, *starts], [*starts, len(text)], strict=True):
        if section := text[start:end].strip():
            yield section


def _standard_library(root: Path) -> Iterator[Document]:
    found = False
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if LEFT_OUT.intersection(parts) or parts[0].startswith("_sysconfigdata"):
            continue
        found = True
        with tokenize.open(path) as file:
            code = file.read()
        name = ".".join(part for part in parts if part != "__init__")
        for source, text in zip((STDLIB_SOURCE, DOCSTRINGS), separate_docstrings(code), strict=True):
            if len(text) >= MIN_CHARS:
                yield Document(source=source, name=name, text=text)
    if not found:
        raise DataError(
            f"no source of the standard library lies in {root}; the demo trains on those files",
            hint="use a Python with its library unpacked on disk",
        )


def separate_docstrings(code: str) -> tuple[str, str]:
    """A module's source without its docstrings, and its docstrings, each below the name it belongs to."""
    lines = code.splitlines()
    docstrings: list[str] = []
    for name, node in _documented(ast.parse(code), ""):
        docstrings.append(f"{name}\n{ast.get_docstring(node)}\n".lstrip())
        first = node.body[0]
        for number in range(first.lineno - 1, first.end_lineno or first.lineno):
            lines[number] = ""
    kept = re.sub(r"\n{3,}", "\n\n", _OPENING_COMMENTS.sub("", "\n".join(lines)).rstrip())
    return kept + "\n", "\n".join(docstrings)


_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _documented(tree: ast.AST, prefix: str) -> Iterator[tuple[str, _Documented]]:
    """(qualified name, node) of everything with a docstring, in the order of the source."""
    if isinstance(tree, _Documented) and ast.get_docstring(tree, clean=False) is not None:
        yield prefix, tree
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            continue
        name = getattr(child, "name", "") if isinstance(child, _Documented) else ""
        yield from _documented(child, ".".join(filter(None, (prefix, name))))
