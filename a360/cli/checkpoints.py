"""``a360 checkpoints``: what discovery finds below a suite's root."""

import time

from rich.filesize import decimal

from a360.checkpoints.discover import discover_checkpoints
from a360.checkpoints.inventory import read_inventory
from a360.cli.output import note, print_json, print_table, print_text, print_title
from a360.cli.progress import watch_steps
from a360.publish.axes import short_number
from a360.records import Checkpoint, Discovery, Inventory, Quarantine
from a360.storage import open_store
from a360.suite import Suite
from a360.sweep import open_suite_store


def list_checkpoints(suite: Suite, *, as_json: bool) -> None:
    """Discovers, and shows every checkpoint with its proof or its reason, on stdout."""
    store, model = open_suite_store(suite), suite.model
    source = open_store(model.root, model.s3)
    with watch_steps("inspecting checkpoints") as show:
        discovery = discover_checkpoints(
            source,
            store,
            model.name,
            model.naming,
            now=time.time(),
            on_progress=lambda done, total: show(done, total, ""),
        )
    inventories = {
        c.fingerprint: read_inventory(store, model.name, c.fingerprint) for c in discovery.checkpoints
    }
    if as_json:
        print_json(_document(discovery, inventories))
        return
    print_text(f"training run {model.name} at {source.uri}")
    print_text(f"{len(discovery.checkpoints):,} complete, {len(discovery.quarantined):,} not")
    _print_complete(discovery, inventories)
    _print_quarantined(discovery.quarantined)


def _print_complete(discovery: Discovery, inventories: dict[str, Inventory]) -> None:
    if not discovery.checkpoints:
        note("hint: nothing can be evaluated before one checkpoint is complete")
        return
    print_title("complete")
    columns = ["checkpoint", "step", "tokens", "size", "files", "parameters", "digest"]
    rows = [_row(c, inventories[c.fingerprint]) for c in discovery.checkpoints]
    print_table(columns, rows, numbers=columns[1:6])
    proofs = {inventories[c.fingerprint].proof: c.id for c in discovery.checkpoints}
    for proof, example in proofs.items():
        print_title(f"proof of {example}" if len(proofs) > 1 else "proof of each")
        for check in proof:
            print_text(f"  {check}")


def _row(checkpoint: Checkpoint, inventory: Inventory) -> list[str]:
    return [
        checkpoint.id,
        f"{checkpoint.phase}:{checkpoint.step}" if checkpoint.phase > 1 else str(checkpoint.step),
        _short(checkpoint.tokens),
        decimal(sum(file.bytes for file in checkpoint.files)),
        str(len(checkpoint.files)),
        _short(inventory.parameters),
        checkpoint.digest[:16],
    ]


def _print_quarantined(quarantined: tuple[Quarantine, ...]) -> None:
    if quarantined:
        print_title("not complete")
        print_table(["checkpoint", "state", "why"], [[q.id, q.state, q.reason] for q in quarantined])


def _document(discovery: Discovery, inventories: dict[str, Inventory]) -> dict[str, object]:
    return {
        "model": discovery.model,
        "checkpoints": [
            {
                **checkpoint.model_dump(mode="json"),
                "proof": list(inventories[checkpoint.fingerprint].proof),
                "parameters": inventories[checkpoint.fingerprint].parameters,
                "vocab_size": inventories[checkpoint.fingerprint].vocab_size,
            }
            for checkpoint in discovery.checkpoints
        ],
        "not_complete": [left_out.model_dump(mode="json") for left_out in discovery.quarantined],
    }


def _short(number: int | None) -> str:
    return "-" if number is None else short_number(number)
