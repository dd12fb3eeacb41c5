"""Which object keys are allowed: relative POSIX paths that mean the same on every store."""

from a360.errors import ConfigError

TEMP_PREFIX = ".a360-tmp-"
"""Names of files that are being written; they are never objects and never listed."""


def checked_key(key: str, store_uri: str) -> str:
    """The key itself, when it names an object below the store and nothing else.

    Raises:
        ConfigError: for absolute keys, empty, ``.`` and ``..`` segments, NUL and reserved names. A
            bucket may hold such keys; as a local path they would leave the target folder.
    """
    segments = key.split("/")
    if any(segment in ("", ".", "..") for segment in segments) or "\0" in key:
        raise ConfigError(
            f"key {key!r} in {store_uri} is not a relative path of plain names",
            hint="expected something like v1/plans/0123.json: no leading or double slash, no '.' or '..'",
        )
    if segments[-1].startswith(TEMP_PREFIX):
        raise ConfigError(
            f"key {key!r} in {store_uri} uses the reserved name {TEMP_PREFIX}*", hint="rename it"
        )
    return key
