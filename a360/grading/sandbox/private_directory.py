"""A program's own directory: made fresh, measured while it runs, removed whatever it has become."""

import contextlib
import os
import shutil
import tempfile

MAX_ENTRIES = 1000


def make(parent: str, owner: int | None) -> str:
    """A new empty directory that its owner alone can enter."""
    path = tempfile.mkdtemp(prefix="program-", dir=parent)
    if owner is not None:
        os.chown(path, owner, owner)
    return path


def exceeds(path: str, limit: int) -> bool:
    """Whether what is in it takes more than ``limit`` bytes of disk, is too many, or cannot be measured."""
    entries = total = 0
    pending = [path]
    while pending:
        try:
            with os.scandir(pending.pop()) as found:
                for entry in found:
                    entries += 1
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    if total > limit or entries > MAX_ENTRIES:
                        return True
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError:
            return True  # its name is too long, or nobody may look into it
    return False


def remove(path: str) -> None:
    """Removes it without recursion: directories nested too deep for any path are moved up first."""
    moved = 0
    pending = [path]
    while pending:
        current = pending.pop()
        os.chmod(current, 0o700)
        inner = []
        with os.scandir(current) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(entry.path)
                else:
                    os.unlink(entry.path)
        for directory in inner:
            moved += 1
            os.chmod(directory, 0o700)  # a directory that is not writable cannot be moved
            above = os.path.join(os.path.dirname(path), f"{os.path.basename(path)}.{moved}")
            os.rename(directory, above)
            pending.append(above)
        shutil.rmtree(current)  # empty by now
