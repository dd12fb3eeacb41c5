"""What a file holds that should be something else, in words for a quarantine's reason."""

import json

from a360.errors import DataError

_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")


def describe_content(head: bytes) -> str:
    """A noun phrase for the first bytes of a file, e.g. ``filled with zeros``."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGE):
        return "an HTML or XML page (an error page saved as a file?)"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file it points to"
    if not head.strip(b"\0"):
        return "filled with zeros"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive"
    if head.startswith(b"\x80"):
        return "a bare pickle"
    return f"something else (it begins with {head[:16]!r})"


def parse_object(name: str, text: bytes) -> dict[str, object]:
    """The JSON object in the file ``name``.

    Raises:
        DataError: for anything else.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        found = f"broken off or malformed ({error})" if text[:1] == b"{" else describe_content(text[:512])
        raise DataError(f"{name} is {found}, expected a JSON object") from None
    if not isinstance(document, dict):
        raise DataError(f"{name} holds a JSON {type(document).__name__}, expected an object")
    return document
