"""Object storage behind six verbs, over ``file://`` and ``s3://``.

Keys are relative POSIX paths below the store's URI. The store is the database: every stage reads
and writes committed documents here and nowhere else.
"""

from a360.storage.open import open_store
from a360.storage.probe import probe_conditional_put
from a360.storage.store import Entry, Store, StoreSettings

__all__ = ["Entry", "Store", "StoreSettings", "open_store", "probe_conditional_put"]
