"""Does a store really refuse a second conditional put? Some answer 200 and overwrite."""

import uuid

from a360.storage.store import Store


def probe_conditional_put(store: Store) -> bool:
    """True when the second of two ``put_if_absent`` on a fresh key is refused and the first body stays.

    Costs two puts, one read and one delete under ``v1/probe/``. What follows from False is the caller's
    policy; the answer belongs into provenance.
    """
    key = f"v1/probe/{uuid.uuid4().hex}"
    first, second = b"first " + key.encode(), b"second " + key.encode()
    try:
        answers = store.put_if_absent(key, first), store.put_if_absent(key, second)
        return answers == (True, False) and store.read(key) == first
    finally:
        store.delete(key)
