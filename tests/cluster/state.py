"""What an ``up`` changes on the machine: written before the change, read by ``down``."""

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tests.cluster.layout import RECORDS, ClusterError, Layout
from tests.cluster.processes import Process


class State(BaseModel):
    """One cluster, whole or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    """The state directory."""
    boot_id: str
    owner: Process | None
    """The process that the cluster must not outlive; None: it stays until somebody takes it down."""
    sysctls: dict[str, str] = {}
    directories: tuple[Path, ...] = ()
    """Made because they were missing."""
    address: bool = False
    """Whether the node's address was added to the loopback interface."""
    complete: bool = False


def read_state(layout: Layout) -> State | None:
    """The state of this cluster; None where it is not the one that is recorded."""
    with suppress(FileNotFoundError):
        state = State.model_validate_json((layout.records / "state.json").read_bytes())
        return state if state.root == layout.root else None
    return None


def write_state(layout: Layout, state: State) -> State:
    """The state, on disk."""
    layout.records.mkdir(exist_ok=True)
    part = layout.records / "state.json.part"
    part.write_text(state.model_dump_json(indent=1))
    part.rename(layout.records / "state.json")
    return state


def change_state(layout: Layout, **changes: object) -> State:
    """The state with some fields changed, on disk."""
    state = read_state(layout)
    if state is None:
        raise ClusterError(f"{layout.root} is no cluster in use")
    return write_state(layout, state.model_copy(update=changes))


def forget(layout: Layout) -> None:
    """Removes all records, the state last: what is left after an interruption says that there is work."""
    if layout.records.exists():
        for path in layout.records.iterdir():
            if path.name != "state.json":
                path.unlink()
        (layout.records / "state.json").unlink(missing_ok=True)
        layout.records.rmdir()


def layout_in_use(records: Path = RECORDS) -> Layout | None:
    """The cluster that the records of this machine are about, if there is one."""
    with suppress(FileNotFoundError):
        state = State.model_validate_json((records / "state.json").read_bytes())
        return Layout(state.root, records)
    return None


def boot_id() -> str:
    """Tells records of this boot from those of an earlier one, of which nothing runs any more."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
