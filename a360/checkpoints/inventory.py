"""What the result store remembers of checkpoints: one document per fingerprint, written once.

With an inventory document, planning a known bucket reads no weights; full hashes lie beside it. Places
are ``v1/inventory/<model>/<fingerprint>.json`` and ``<fingerprint>.sha256.json``.
"""

import re
from typing import TypeVar

from pydantic import ValidationError

from a360.errors import DataError, MissingError
from a360.identity import canonical_json
from a360.records import FullHashes, Inventory
from a360.storage.store import Store

_Document = TypeVar("_Document", Inventory, FullHashes)
_INVENTORY_NAME = re.compile(r"([0-9a-f]{16})\.json")


def inventory_prefix(model: str) -> str:
    """The prefix of all inventory documents of a model."""
    return f"v1/inventory/{model}/"


def inventory_place(model: str, fingerprint: str) -> str:
    """The key of the inventory document of a fingerprint."""
    return f"{inventory_prefix(model)}{fingerprint}.json"


def full_hashes_place(model: str, fingerprint: str) -> str:
    """The key of the full hashes of a fingerprint."""
    return f"{inventory_prefix(model)}{fingerprint}.sha256.json"


def list_inventories(store: Store, model: str) -> frozenset[str]:
    """The fingerprints that the store knows, from one LIST."""
    prefix = inventory_prefix(model)
    matches = (_INVENTORY_NAME.fullmatch(entry.key[len(prefix) :]) for entry in store.list(prefix))
    return frozenset(match[1] for match in matches if match)


def read_inventory(store: Store, model: str, fingerprint: str) -> Inventory:
    """The inventory document of a fingerprint.

    Raises:
        DataError: when it is malformed.
        MissingError: when there is none.
    """
    return _read(store, inventory_place(model, fingerprint), fingerprint, Inventory)


def read_full_hashes(store: Store, model: str, fingerprint: str) -> FullHashes | None:
    """The full hashes of a fingerprint; None while nobody has read its files whole.

    Raises:
        DataError: when the document is malformed.
    """
    try:
        return _read(store, full_hashes_place(model, fingerprint), fingerprint, FullHashes)
    except MissingError:
        return None


def record_inventory(store: Store, model: str, inventory: Inventory) -> Inventory:
    """The stored inventory document: this one, or that of another process which was faster.

    Raises:
        DataError: when the other process found another digest.
    """
    place = inventory_place(model, inventory.fingerprint)
    if store.put_if_absent(place, canonical_json(inventory).encode()):
        return inventory
    stored = read_inventory(store, model, inventory.fingerprint)
    if stored.digest != inventory.digest:
        raise DataError(
            f"two processes disagree on one checkpoint: {store.uri}/{place} has digest {stored.digest}, "
            f"this process computed {inventory.digest}",
            hint="the weights were replaced while they were read and size and version did not tell; "
            "delete the document and discover again",
        )
    return stored


def record_full_hashes(store: Store, model: str, hashes: FullHashes) -> None:
    """Stores the full hashes of a fingerprint, once.

    Raises:
        DataError: when other hashes are stored.
    """
    place = full_hashes_place(model, hashes.fingerprint)
    if store.put_if_absent(place, canonical_json(hashes).encode()):
        return
    stored = _read(store, place, hashes.fingerprint, FullHashes)
    differing = sorted(
        name for name in stored.sha256.keys() | hashes.sha256.keys()
        if stored.sha256.get(name) != hashes.sha256.get(name)
    )  # fmt: skip
    if differing:
        raise DataError(
            f"the content of {', '.join(differing)} differs from what {store.uri}/{place} says",
            hint="the checkpoint was replaced without a change of size and version, or damaged on its way",
        )


def _read(store: Store, place: str, fingerprint: str, kind: type[_Document]) -> _Document:
    try:
        document = kind.model_validate_json(store.read(place))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the document"
        raise DataError(
            f"{store.uri}/{place} is no {kind.__name__} document: {where}: {problem['msg']}",
            hint="nothing but a360 writes there; delete it and discover again",
        ) from None
    if document.fingerprint != fingerprint:
        raise DataError(
            f"{store.uri}/{place} speaks of fingerprint {document.fingerprint}, expected {fingerprint}",
            hint="delete it and discover again",
        )
    return document
