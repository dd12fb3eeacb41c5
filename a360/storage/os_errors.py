"""What a failed system call means for a job: try again, or a person has to act."""

import errno

from a360.errors import A360Error, ConfigError, MissingError, TransientError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_MISNAMED = {errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}


class DiskFullError(TransientError):
    """No space or quota is left for a file."""


def os_failure(error: OSError, where: str) -> A360Error:
    """The error to raise for a failed system call on ``where`` (a URI or path)."""
    found = f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')}): {where}"
    if error.errno in _FULL:
        return DiskFullError(found, hint="free space, raise the quota or choose another directory")
    if error.errno in _MISSING:
        return MissingError(
            f"no such object: {where}", hint="deleted meanwhile, never written, or a typo in the URI"
        )
    if error.errno in _REFUSED:
        return ConfigError(found, hint="this user needs permission to read and write there")
    if error.errno in _MISNAMED:
        return ConfigError(found, hint="the name cannot be used as a file here; choose another one")
    return TransientError(found, hint="the device or the network file system failed; trying again may help")
