"""Discovery: every checkpoint below a root, complete ones with their digest, all others with a reason.

First stage of the flow; ``plan`` takes the Discovery. One LIST of the root and one of the inventory tell
known fingerprints apart; only new ones are read: proof, digest, then one inventory document each.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from a360.checkpoints.digest import checkpoint_digest, full_hashes, hash_files
from a360.checkpoints.folders import Folder, group_folders
from a360.checkpoints.inventory import (
    list_inventories,
    read_full_hashes,
    read_inventory,
    record_full_hashes,
    record_inventory,
)
from a360.checkpoints.naming import NamedCheckpoint, NamingScheme
from a360.checkpoints.readiness import check_settled, prove_ready
from a360.errors import ConfigError, DataError
from a360.records import Checkpoint, Discovery, FullHashes, Inventory, Naming, Quarantine
from a360.storage.store import Store

Progress = Callable[[int, int], None]
"""Called in the caller's thread with (checkpoints inspected, checkpoints in all)."""

MAX_WORKERS = 16
"""Checkpoints that are inspected at a time, by threads: nearly all of it is waiting for the store."""

_log = logging.getLogger(__name__)
_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


def discover_checkpoints(
    source: Store,
    store: Store,
    model: str,
    naming: Naming,
    *,
    now: float,
    on_progress: Progress | None = None,
) -> Discovery:
    """Every checkpoint of a training run, ordered by (phase, step).

    Args:
        source: rooted at the folder above the checkpoints.
        store: the result store, which keeps the inventory.
        model: the name under which the inventory is kept.
        naming: how names become ids, and which ids are expected.
        now: seconds since the epoch, against which the settle time is measured.
        on_progress: called after each inspected checkpoint.

    Raises:
        ConfigError: for a wrong naming, or a root without any checkpoint.
    """
    scheme = NamingScheme(naming)
    folders, others = group_folders(source, source.list(""), scheme.matches)
    if not folders:
        raise _no_checkpoints(source, others, naming)
    _log.debug("ignored below %s: %s", source.uri, others)
    by_name = {folder.name: folder for folder in folders}
    named = scheme.assign(by_name)
    chosen = {by_name[checkpoint.name].fingerprint for checkpoint in named if checkpoint.same_step_as is None}
    inventories, damaged = _known_inventories(store, model, chosen)
    inspector = _Inspector(
        store=store,
        model=model,
        now=now,
        settle_seconds=naming.settle_seconds,
        folders=by_name,
        inventories=inventories,
        damaged=damaged,
    )
    inspected = _in_parallel(inspector.inspect, named, on_progress)
    quarantined = [
        *(outcome for outcome in inspected if isinstance(outcome, Quarantine)),
        *(_not_uploaded(checkpoint, source) for checkpoint in scheme.absent(named)),
    ]
    return Discovery(
        model=model,
        checkpoints=tuple(outcome for outcome in inspected if isinstance(outcome, Checkpoint)),
        quarantined=tuple(sorted(quarantined, key=lambda item: (item.phase, item.step, item.id))),
    )


@dataclass(frozen=True, kw_only=True)
class _Inspector:
    """Turns a folder into a checkpoint or a quarantine; shared by all threads of one discovery."""

    store: Store
    model: str
    now: float
    settle_seconds: float
    folders: Mapping[str, Folder]
    inventories: Mapping[str, Inventory]
    damaged: Mapping[str, DataError]

    def inspect(self, checkpoint: NamedCheckpoint) -> Checkpoint | Quarantine:
        """The checkpoint when its fingerprint is known or proven now; otherwise why not."""
        folder = self.folders[checkpoint.name]
        if checkpoint.same_step_as is not None:
            reason = f"same step as {checkpoint.same_step_as}, which stands for it"
            duplicate = _quarantine(checkpoint, folder.uri, reason)
            return duplicate.model_copy(update={"state": "duplicate"})
        inventory = self.inventories.get(folder.fingerprint)
        if inventory is None:
            try:
                inventory = self._prove_and_record(folder)
            except DataError as error:
                return _quarantine(checkpoint, folder.uri, error.message)
        return Checkpoint(
            id=checkpoint.id,
            uri=folder.uri,
            phase=checkpoint.position.phase,
            step=checkpoint.position.step,
            tokens=checkpoint.tokens,
            digest=inventory.digest,
            fingerprint=inventory.fingerprint,
            files=inventory.files,
            chat_template=inventory.chat_template,
        )

    def _prove_and_record(self, folder: Folder) -> Inventory:
        if folder.fingerprint in self.damaged:
            raise self.damaged[folder.fingerprint]
        inventory, hashes = self._prove(folder)
        if hashes:
            record_full_hashes(self.store, self.model, hashes)
        return record_inventory(self.store, self.model, inventory)

    def _prove(self, folder: Folder) -> tuple[Inventory, FullHashes | None]:
        check_settled(folder, self.now, self.settle_seconds)
        proof = prove_ready(folder)
        files = hash_files(folder, proof)
        inventory = Inventory(
            fingerprint=folder.fingerprint,
            digest=checkpoint_digest(files),
            files=files,
            proof=proof.checks,
            vocab_size=proof.vocab_size,
            parameters=proof.parameters,
            chat_template=proof.chat_template,
        )
        hashes = self._compare_with_older(folder, inventory)
        if folder.list_again().fingerprint != folder.fingerprint:
            raise DataError("still changing: its files were replaced while they were read")
        return inventory, hashes

    def _compare_with_older(self, folder: Folder, inventory: Inventory) -> FullHashes | None:
        """The full hashes, where an older fingerprint of the same digest has some to compare with.

        Large files enter the digest by windows only, so an equal digest alone does not prove that what
        results were computed from is still there. Without full hashes of the older one nobody ever
        pulled it, and no result can exist.
        """
        hashes = None
        for older in self.inventories.values():
            if older.digest != inventory.digest:
                continue
            known = read_full_hashes(self.store, self.model, older.fingerprint)
            if known is None:
                continue
            if hashes is None:
                sha256 = full_hashes(folder, inventory.files)
                hashes = FullHashes(fingerprint=folder.fingerprint, sha256=sha256)
            for name, found in hashes.sha256.items():
                expected = known.sha256.get(name, "none")
                if found != expected:
                    raise DataError(
                        f"silently replaced: {name} has sha256 {found}, under the older fingerprint "
                        f"{older.fingerprint} it had {expected}; sizes and sampled windows are equal"
                    )
        return hashes


def _known_inventories(
    store: Store, model: str, present: set[str]
) -> tuple[dict[str, Inventory], dict[str, DataError]]:
    """The inventory documents of the fingerprints that are present, and the faults of damaged ones.

    When one of them is new, all others of the model too: it may be an old checkpoint in a new place.
    """
    known = list_inventories(store, model)
    wanted = sorted(known if present - known else known & present)
    documents = _in_parallel(partial(_read_or_fault, store, model), wanted)
    found = dict(zip(wanted, documents, strict=True))
    whole = {name: document for name, document in found.items() if isinstance(document, Inventory)}
    return whole, {name: fault for name, fault in found.items() if isinstance(fault, DataError)}


def _read_or_fault(store: Store, model: str, fingerprint: str) -> Inventory | DataError:
    try:
        return read_inventory(store, model, fingerprint)
    except DataError as error:
        return error


def _in_parallel(
    function: Callable[[_Item], _Outcome],
    items: Sequence[_Item],
    on_progress: Progress | None = None,
) -> list[_Outcome]:
    """The outcomes in the order of the items; the first error ends it, and what has not begun is dropped."""
    with ThreadPoolExecutor(max_workers=MAX_WORKERS) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for finished, future in enumerate(as_completed(futures), start=1):
                future.result()
                if on_progress:
                    on_progress(finished, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _quarantine(checkpoint: NamedCheckpoint, uri: str, reason: str) -> Quarantine:
    position = checkpoint.position
    return Quarantine(
        id=checkpoint.id,
        uri=uri,
        phase=position.phase,
        step=position.step,
        tokens=checkpoint.tokens,
        reason=reason,
    )


def _not_uploaded(checkpoint: NamedCheckpoint, source: Store) -> Quarantine:
    uri = f"{source.uri.rstrip('/')}/{checkpoint.name}"
    absent = _quarantine(checkpoint, uri, "no folder of its step below the checkpoint root")
    return absent.model_copy(update={"state": "not uploaded"})


def _no_checkpoints(source: Store, others: Sequence[str], naming: Naming) -> ConfigError:
    examples = ", ".join(repr(name) for name in others[:3])
    found = f"found {len(others)} names such as {examples}" if others else "it is empty"
    hint = "the pattern has to match the whole name of a folder"
    if "config.json" in others:
        hint = "this looks like one checkpoint; give the folder above it"
    expected = f"expected folders that match {naming.pattern!r}"
    return ConfigError(f"no checkpoint below {source.uri}: {found}; {expected}", hint=hint)
