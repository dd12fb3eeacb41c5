"""From a URI to a store."""

import os
from pathlib import Path

from a360.errors import ConfigError
from a360.storage.file_store import FileStore
from a360.storage.store import Store, StoreSettings


def open_store(uri: str, settings: StoreSettings | None = None) -> Store:
    """The store at ``file:///absolute/path``, a plain path, or ``s3://bucket/prefix``.

    Paths are taken literally: nothing is percent-decoded, so a URI plus ``/`` plus a key is a URI again.
    Nothing is read or created yet.

    Raises:
        ConfigError: for another scheme, a missing bucket name or malformed settings.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        if not uri:
            raise ConfigError(
                "the store's URI is empty", hint="expected a directory, file:///… or s3://bucket/prefix"
            )
        return FileStore(Path(os.path.abspath(Path(uri).expanduser())))
    if scheme == "file":
        if not rest.startswith("/"):
            raise ConfigError(f"{uri} names a host or a relative path", hint="write file:///absolute/path")
        return FileStore(Path(os.path.abspath(rest)))
    if scheme == "s3":
        # boto3 takes a third of a second to import; commands that never open a bucket must not wait for it.
        from a360.storage.s3_store import S3Store

        return S3Store(uri, settings or StoreSettings())
    raise ConfigError(
        f"unknown scheme in store URI {uri!r}", hint="expected a directory, file:///… or s3://bucket/prefix"
    )
