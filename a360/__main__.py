"""``python -m a360`` is the command ``a360``."""

from a360.cli import main

if __name__ == "__main__":
    main()
