"""The file that every process of the sandbox starts with: ``python -I -S start.py <role> ...``.

Without site-packages: a360's root is on the path until its modules are loaded, not when a program runs.
"""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[3])


def main() -> None:
    """Runs one role with the rest of the command line."""
    role, *words = sys.argv[1:]
    sys.path.insert(0, _ROOT)
    if role == "supervisor":
        from a360.grading.sandbox.supervisor import main as run
    elif role == "checker":
        from a360.grading.sandbox.checker import main as run
    else:
        from a360.grading.sandbox.candidate import main as run
    sys.path.remove(_ROOT)
    sys.argv[:] = [""]
    run(words)


if __name__ == "__main__":
    main()
