"""Two users for one program: root's programs become users whose processes nobody else's program counts.

A limit on processes counts those of a user, whoever started them. A claim is a name among the machine's
abstract socket names, which the kernel gives back when the claiming process ends, however it ends.
"""

import random
import socket
from typing import NamedTuple

FIRST = 61_000
"""With the others below 65,536, which is all that a container's own user namespace may have."""
PROGRAMS = 2_000


class Users(NamedTuple):
    """Who the two processes of a program become."""

    candidate: int | None
    checker: int | None
    claim: socket.socket | None
    """Closing it gives them back."""


def claim_users() -> Users:
    """Users that no other process of this network namespace has, as long as the claim is open.

    Raises:
        OSError: all are taken.
    """
    start = random.SystemRandom().randrange(PROGRAMS)
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for number in range(PROGRAMS):
        first = FIRST + 2 * ((start + number) % PROGRAMS)
        try:
            claim.bind(f"\0a360-sandbox-user-{first}")
        except OSError:
            continue
        return Users(first, first + 1, claim)
    claim.close()
    raise OSError(f"no user is free: {PROGRAMS} programs are running")
