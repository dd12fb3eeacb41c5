"""Reading the JSON that an API answers: a value at a path, or the empty value of its type."""

from collections.abc import Mapping
from datetime import datetime

Document = Mapping[str, object]


def value_at(document: object, *path: str) -> object:
    """What is at the path; None where a key is absent."""
    for key in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(key)
    return document


def text_at(document: object, *path: str) -> str:
    """The text at the path; empty where there is none."""
    value = value_at(document, *path)
    return value if isinstance(value, str) else ""


def mapping_at(document: object, *path: str) -> Document:
    """The mapping at the path; empty where there is none."""
    value = value_at(document, *path)
    return value if isinstance(value, Mapping) else {}


def list_at(document: object, *path: str) -> list[Document]:
    """The mappings in the list at the path; empty where there is none."""
    value = value_at(document, *path)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def texts_at(document: object, *path: str) -> dict[str, str]:
    """The texts of the mapping at the path, such as labels or the data of a ConfigMap."""
    return {key: value for key, value in mapping_at(document, *path).items() if isinstance(value, str)}


def parameters_at(document: object, *path: str) -> dict[str, str]:
    """Argo's list of ``{name, value}`` at the path as a mapping; parameters without a value are left out."""
    items = list_at(document, *path)
    return {text_at(item, "name"): str(item["value"]) for item in items if item.get("value") is not None}


def time_at(document: object, *path: str) -> datetime | None:
    """The time at the path, or None. The API writes RFC 3339 in UTC."""
    text = text_at(document, *path)
    return datetime.fromisoformat(text) if text else None
