"""``python -m workflows render [--check] [--settings FILE] [--root DIR]``."""

import argparse
import sys
from pathlib import Path

import yaml
from pydantic import ValidationError

from a360.errors import A360Error, ConfigError
from workflows.render import diff_files, render_files, write_files
from workflows.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def main(words: list[str] | None = None) -> int:
    """Writes the files, or with --check shows how they differ and returns 1."""
    parser = argparse.ArgumentParser(prog="python -m workflows")
    render = parser.add_subparsers(required=True).add_parser("render", help="write the rendered workflows")
    render.add_argument("--check", action="store_true", help="write nothing; a diff and exit 1 when stale")
    render.add_argument("--settings", type=Path, help="YAML with settings other than the defaults")
    render.add_argument("--root", type=Path, default=ROOT, help="where helm/ and workflows/ lie")
    arguments = parser.parse_args(words)
    try:
        files = render_files(read_settings(arguments.settings))
    except A360Error as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if arguments.check:
        lines = list(diff_files(files, arguments.root))
        sys.stdout.writelines(lines)
        return 1 if lines else 0
    for path in write_files(files, arguments.root):
        print(path)
    return 0


def read_settings(path: Path | None) -> Settings:
    """Settings of a YAML file; the defaults without one.

    Raises:
        ConfigError: the file cannot be read, or holds a setting or a value that there is not.
    """
    if path is None:
        return Settings()
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text()) or {})
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"the settings in {path} are not valid: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
