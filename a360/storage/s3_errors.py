"""What a failed S3 request means for a job: configuration, a missing object, or try again.

The SDK has already retried what can pass by itself; a refusal (401, 403) is never asked twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import s3transfer.exceptions
from botocore import exceptions as sdk

from a360.errors import A360Error, ConfigError, DataError, MissingError, TransientError
from a360.storage.os_errors import os_failure

_REFUSED_CODES = {
    "AccessDenied", "AllAccessDisabled", "AuthFailure", "ExpiredToken", "Forbidden", "InvalidAccessKeyId",
    "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired", "Unauthorized",
}  # fmt: skip
_PASSING_CODES = {
    "BadDigest", "ConditionalRequestConflict", "IncompleteBody", "InternalError", "OperationAborted",
    "QuotaExceeded", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling",
    "XAmzContentSHA256Mismatch",
}  # fmt: skip
_NO_CREDENTIALS = (
    sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.CredentialRetrievalError,
    sdk.TokenRetrievalError, sdk.SSOError, sdk.ProfileNotFound,
)  # fmt: skip
_NETWORK = (
    sdk.HTTPClientError, sdk.ConnectionError, sdk.IncompleteReadError, sdk.ChecksumError,
    sdk.FlexibleChecksumError, s3transfer.exceptions.RetriesExceededError,
)  # fmt: skip
_REFUSED_HINTS = {
    "RequestTimeTooSkewed": "this machine's clock differs from the store's; set it",
    "ExpiredToken": "get new temporary credentials",
}
_REFUSED_HINT = (
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and what they may do in this bucket"
)


@contextmanager
def s3_errors(where: str) -> Iterator[None]:
    """A block in which SDK and system errors about ``where`` (a URI) become a360's."""
    try:
        yield
    except (
        sdk.ClientError, sdk.BotoCoreError, s3transfer.exceptions.RetriesExceededError,
        s3transfer.exceptions.S3DownloadFailedError, OSError,
    ) as error:  # fmt: skip
        raise s3_failure(error, where) from error


def s3_failure(error: Exception, where: str) -> A360Error:
    """The error to raise for a failed request about ``where``."""
    if isinstance(error, sdk.ClientError):
        return _answered(error, where)
    if isinstance(error, _NO_CREDENTIALS):
        return ConfigError(f"no usable credentials for {where}: {error}", hint=_REFUSED_HINT)
    if isinstance(error, _NETWORK):
        return TransientError(
            f"no whole answer from the store for {where}: {error}",
            hint="check the endpoint URL and the network; trying again may help",
        )
    if isinstance(error, s3transfer.exceptions.S3DownloadFailedError):
        return TransientError(f"{where} was replaced while it was read: {error}", hint="try again")
    if isinstance(error, OSError):
        return os_failure(error, where)
    return ConfigError(
        f"the S3 client cannot ask for {where}: {error}", hint="check endpoint, region and bucket name"
    )


def status_code(error: sdk.ClientError) -> int:
    """The HTTP status of an answered request; 0 where the SDK gives none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(error: sdk.ClientError, where: str) -> A360Error:
    status, code = status_code(error), error.response.get("Error", {}).get("Code", "")
    found = f"the store answered {status} {code} for {where}: {error}"
    if code == "NoSuchBucket":
        return ConfigError(found, hint="create the bucket, or correct its name, the endpoint or the region")
    if code in _PASSING_CODES or (status >= 500 and status != 501) or status in (408, 409, 412, 429):
        return TransientError(found, hint="the store is busy, full or was changed meanwhile; try again later")
    if code == "InvalidObjectState":
        return DataError(found, hint="the object is archived; restore it first")
    if status in (401, 403) or code in _REFUSED_CODES:
        return ConfigError(found, hint=_REFUSED_HINTS.get(code, _REFUSED_HINT))
    if status == 404:
        return MissingError(
            f"no such object: {where}", hint="deleted meanwhile, never written, or a typo in the URI"
        )
    return ConfigError(found, hint="the store refuses this request; check endpoint, region and path style")
