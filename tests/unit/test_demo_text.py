"""The demo's text: three sources that do not overlap, and a split that does not leak."""

import pytest

from a360.demo.text import (
    DOCSTRINGS,
    LANGUAGE_REFERENCE,
    SOURCES,
    STDLIB_SOURCE,
    Document,
    read_documents,
    separate_docstrings,
    split_documents,
)

CODE = '''# Licence of the module

# more of it

"""What the module is for."""

import os


class Reader:
    """Reads."""

    def read(self):
        """Return
        everything.
        """
        # a comment stays
        return os.name

    if os:
        async def later(self):
            "Not now."
            return "kept: a string"
'''


@pytest.fixture(scope="module")
def documents() -> tuple[Document, ...]:
    return read_documents()


def long_lines(documents: tuple[Document, ...], source: str | None = None) -> list[str]:
    """Lines that are unlikely to be the same by chance."""
    texts = [document.text for document in documents if source in (None, document.source)]
    return [line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= 40]


def test_source_and_docstrings_are_told_apart() -> None:
    source, docstrings = separate_docstrings(CODE)
    assert docstrings.split("\n\n") == [
        "What the module is for.",
        "Reader\nReads.",
        "Reader.read\nReturn\neverything.",
        "Reader.later\nNot now.\n",
    ]
    assert source.startswith("import os\n")
    assert "Reads" not in source
    assert "everything" not in source
    assert "# a comment stays\n        return os.name" in source
    assert "kept: a string" in source


def test_every_document_has_a_name_of_its_own(documents: tuple[Document, ...]) -> None:
    assert len({(document.source, document.name) for document in documents}) == len(documents)
    assert {document.source for document in documents} == set(SOURCES)
    names = {document.name for document in documents if document.source == STDLIB_SOURCE}
    assert {"bisect", "json.decoder", "asyncio"} <= names
    assert not any(name.startswith(("test.", "pydoc_data", "encodings.")) for name in names)


def test_a_section_that_two_topics_share_is_taken_once(documents: tuple[Document, ...]) -> None:
    bodies = [
        document.text.split("\n", 2)[2] for document in documents if document.source == LANGUAGE_REFERENCE
    ]
    assert len(set(bodies)) == len(bodies) > 80


def test_a_module_and_its_docstrings_are_on_the_same_side(documents: tuple[Document, ...]) -> None:
    train, heldout = split_documents(documents)
    assert set(train) | set(heldout) == set(documents)
    assert not set(train) & set(heldout)
    trained = {document.name for document in train if document.source == STDLIB_SOURCE}
    kept_out = {document.name for document in heldout if document.source == DOCSTRINGS}
    assert len(kept_out) >= 24
    assert not trained & kept_out


def test_removing_documents_moves_no_other_to_the_other_side(documents: tuple[Document, ...]) -> None:
    _, heldout = split_documents(documents)
    _, fewer = split_documents(documents[::3])
    assert set(fewer) == set(heldout) & set(documents[::3])


@pytest.mark.parametrize(
    ("source", "share"), [(LANGUAGE_REFERENCE, 0.01), (STDLIB_SOURCE, 0.06), (DOCSTRINGS, 0.05)]
)
def test_held_out_lines_are_new_to_the_trained_model(
    documents: tuple[Document, ...], source: str, share: float
) -> None:
    train, heldout = split_documents(documents)
    trained = set(long_lines(train))
    lines = long_lines(heldout, source)
    assert len(lines) > 1000
    assert sum(line in trained for line in lines) / len(lines) < share
