"""The bucket behind the store: what has to be set on it, set and checked.

What belongs here: lifecycle, CORS, and the question whether a bucket and its credentials do what
the platform needs, through boto3. What does not: objects (`aethex.store`). A folder has no bucket.

`init_bucket` adds what is missing and keeps everybody else's rules; running it again changes
nothing. `check_bucket` only writes under `aethex-check/`, and deletes what it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from aethex.settings import Settings
from aethex.store import StoreError

ABORT_UPLOADS_AFTER_DAYS = 1
"""An upload in parts that was not finished is of a process that died; its parts cost money."""

_LIFECYCLE_ID = "aethex-abort-unfinished-uploads"
_METHODS = ["GET", "HEAD"]
_EXPOSED = ["Accept-Ranges", "Content-Length", "Content-Range", "ETag", "Last-Modified"]
_CORS_SECONDS = 86_400
_CHECK_PREFIX = "aethex-check"
_NOT_SET = ("NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration")
_NOT_OFFERED = ("NotImplemented", "501", "MethodNotAllowed", "405")

Rule = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing that was checked. `remedy`: what to do where it is not well."""

    name: str
    state: Literal["good", "bad", "not offered"]
    says: str
    remedy: str = ""


def init_bucket(settings: Settings) -> list[str]:
    """Make the bucket where it is missing, and add the rules that are missing.

    Returns what was changed, one line each; nothing when all was there. Raises StoreError for a
    store that is a folder, a bucket that cannot be reached, and rules that may not be set.
    """
    bucket = _Bucket(settings)
    changes: list[str] = []
    if not bucket.exists():
        bucket.call("make the bucket", "create_bucket")
        changes.append(f"made the bucket {bucket.name}")
    lifecycle = bucket.lifecycle_rules()
    if not any(_aborts_uploads(rule) for rule in lifecycle):
        others = [rule for rule in lifecycle if rule.get("ID") != _LIFECYCLE_ID]
        bucket.call(
            "set its lifecycle",
            "put_bucket_lifecycle_configuration",
            LifecycleConfiguration={"Rules": [*others, _lifecycle_rule()]},
        )
        changes.append(f"uploads not finished after {ABORT_UPLOADS_AFTER_DAYS} day are aborted")
    cors = bucket.cors_rules()
    wanted = _origins(settings)
    if missing := [origin for origin in wanted if not _is_allowed(cors, origin)]:
        bucket.call(
            "set its CORS",
            "put_bucket_cors",
            CORSConfiguration={"CORSRules": [*cors, _cors_rule(missing)]},
        )
        changes.append(f"pages of {', '.join(missing)} may read objects")
    return changes


def check_bucket(settings: Settings) -> Iterator[Finding]:
    """Ask the bucket for everything that the platform needs, one finding after the other.

    Raises StoreError for a store that is a folder. All else that is wrong is a finding.
    """
    bucket = _Bucket(settings)
    key = f"{bucket.prefix}{_CHECK_PREFIX}/{uuid4().hex}"
    reached = _found("bucket", lambda: _exists(bucket))
    yield reached
    if reached.state == "bad":
        return
    try:
        yield _found("write, if there is no such object", lambda: _creates_once(bucket, key))
        yield _found("write, if unchanged", lambda: _replaces_unchanged(bucket, key))
        yield _found("read a range", lambda: _reads_range(bucket, key))
        yield _found("list", lambda: _lists(bucket, key))
        yield _found("upload in parts", lambda: _uploads_parts(bucket, key))
    finally:
        deleted = _found("delete", lambda: _deletes(bucket, key))
    yield deleted
    yield _found("lifecycle", lambda: _says_lifecycle(bucket))
    yield _found("CORS", lambda: _says_cors(bucket, _origins(settings)))


class _Refused(StoreError):
    """The bucket's server said no. `code`: S3's word for it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class _Wrong(Exception):
    """It answers, but not as it has to. With the remedy."""

    def __init__(self, says: str, remedy: str) -> None:
        super().__init__(says)
        self.remedy = remedy


class _Bucket:
    """boto3 on the bucket of these settings."""

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.effective_store_url)
        secret = settings.store_secret_access_key
        if parts.scheme != "s3":
            raise StoreError(
                f"The store {settings.effective_store_url} is a folder, which has no bucket: set "
                "AETHEX_STORE_URL to s3://bucket/prefix first."
            )
        if not settings.store_access_key_id or secret is None:
            raise StoreError(
                f"The store {settings.store_url} needs credentials: set "
                "AETHEX_STORE_ACCESS_KEY_ID and AETHEX_STORE_SECRET_ACCESS_KEY."
            )
        self.url = settings.effective_store_url
        self.name = parts.netloc
        self.prefix = f"{prefix}/" if (prefix := parts.path.strip("/")) else ""
        # R2 refuses the checksums that boto3 adds by itself.
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=settings.store_endpoint,
            region_name=settings.store_region,
            aws_access_key_id=settings.store_access_key_id,
            aws_secret_access_key=secret.get_secret_value(),
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=5,
                read_timeout=30,
                retries={"max_attempts": 2},
            ),
        )

    def call(self, what: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request. Raises StoreError that says what could not be done."""
        with self._errors(what):
            return getattr(self.s3, operation)(Bucket=self.name, **arguments)

    def exists(self) -> bool:
        try:
            self.call("reach the bucket", "head_bucket")
        except _Refused as error:
            if error.code in ("404", "NoSuchBucket"):
                return False
            raise
        return True

    def lifecycle_rules(self) -> list[Rule]:
        return self._rules("read its lifecycle", "get_bucket_lifecycle_configuration", "Rules")

    def cors_rules(self) -> list[Rule]:
        return self._rules("read its CORS", "get_bucket_cors", "CORSRules")

    def _rules(self, what: str, operation: str, name: str) -> list[Rule]:
        try:
            return list(self.call(what, operation).get(name, []))
        except _Refused as error:
            if error.code in _NOT_SET:
                return []
            raise

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            said = error.response.get("Error", {})
            code = str(said.get("Code", ""))
            if code in ("403", "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"):
                remedy = "give the access key the right to administer this bucket, or check it"
            elif code in _NOT_OFFERED:
                remedy = "this server does not offer it"
            else:
                remedy = str(said.get("Message", "")) or "check AETHEX_STORE_URL"
            message = f"Could not {what} of {self.url} ({code}): {remedy}."
            raise _Refused(message, code) from error
        except BotoCoreError as error:
            raise StoreError(
                f"The store {self.url} does not answer ({str(error).splitlines()[0]}): check "
                "AETHEX_STORE_URL and AETHEX_STORE_ENDPOINT, and that it runs."
            ) from error


# --- what is wanted -------------------------------------------------------------------------------


def _lifecycle_rule() -> Rule:
    return {
        "ID": _LIFECYCLE_ID,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_UPLOADS_AFTER_DAYS},
    }


def _aborts_uploads(rule: Rule) -> bool:
    """Whether the rule ends unfinished uploads of the whole bucket soon enough."""
    days = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
    prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    is_on = rule.get("Status") == "Enabled"
    return is_on and not prefix and days is not None and days <= ABORT_UPLOADS_AFTER_DAYS


def _origins(settings: Settings) -> list[str]:
    parts = urlsplit(settings.effective_public_url)
    return sorted({f"{parts.scheme}://{parts.netloc}", *settings.cors_origins})


def _cors_rule(origins: list[str]) -> Rule:
    return {
        "AllowedOrigins": origins,
        "AllowedMethods": _METHODS,
        "AllowedHeaders": ["Range", "If-Range", "If-None-Match", "If-Modified-Since"],
        "ExposeHeaders": _EXPOSED,
        "MaxAgeSeconds": _CORS_SECONDS,
    }


def _is_allowed(rules: list[Rule], origin: str) -> bool:
    """Whether a page of this origin may read objects by one of the rules."""
    return any(
        (origin in rule.get("AllowedOrigins", []) or "*" in rule.get("AllowedOrigins", []))
        and set(_METHODS) <= set(rule.get("AllowedMethods", []))
        and {"range", "*"} & {header.lower() for header in rule.get("AllowedHeaders", [])}
        and {name.lower() for name in _EXPOSED}
        <= {header.lower() for header in rule.get("ExposeHeaders", [])}
        for rule in rules
    )


# --- findings -------------------------------------------------------------------------------------


def _found(name: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "good", ask())
    except _Wrong as wrong:
        return Finding(name, "bad", str(wrong), wrong.remedy)
    except _Refused as error:
        if error.code in _NOT_OFFERED:
            return Finding(name, "not offered", "this server does not offer it")
        return Finding(name, "bad", str(error), "see the message")
    except StoreError as error:
        return Finding(name, "bad", str(error), "check the address and the network")


def _exists(bucket: _Bucket) -> str:
    if not bucket.exists():
        raise _Wrong(f"there is no bucket {bucket.name}", "`aethex bucket init` makes it")
    return f"{bucket.name} answers"


def _creates_once(bucket: _Bucket, key: str) -> str:
    bucket.call("write an object", "put_object", Key=key, Body=b"first", IfNoneMatch="*")
    try:
        bucket.call("write an object", "put_object", Key=key, Body=b"again", IfNoneMatch="*")
    except _Refused as error:
        if error.code in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
            return "the second write is refused"
        raise
    raise _Wrong(
        "a second write went over the first: publishing would lose windows",
        "use a store with conditional writes, such as R2",
    )


def _replaces_unchanged(bucket: _Bucket, key: str) -> str:
    etag = bucket.call("read an object", "head_object", Key=key)["ETag"]
    bucket.call("replace an object", "put_object", Key=key, Body=b"second", IfMatch=etag)
    try:
        bucket.call("replace an object", "put_object", Key=key, Body=b"third", IfMatch=etag)
    except _Refused as error:
        if error.code in ("PreconditionFailed", "412"):
            return "a write over a changed object is refused"
        raise
    raise _Wrong(
        "a write went over a changed object: builds would overwrite each other",
        "use a store with conditional writes, such as R2",
    )


def _reads_range(bucket: _Bucket, key: str) -> str:
    body = bucket.call("read a range", "get_object", Key=key, Range="bytes=1-3")["Body"].read()
    if body != b"eco":
        raise _Wrong("a range came back as something else", "use another server")
    return "ranges come back exact"


def _lists(bucket: _Bucket, key: str) -> str:
    found = bucket.call("list objects", "list_objects_v2", Prefix=key)
    if [entry["Key"] for entry in found.get("Contents", [])] != [key]:
        raise _Wrong("what was just written is not listed", "use a store that lists at once")
    return "what was just written is listed"


def _uploads_parts(bucket: _Bucket, key: str) -> str:
    name = f"{key}-parts"
    upload = bucket.call("begin an upload in parts", "create_multipart_upload", Key=name)
    bucket.call(
        "abort an upload in parts",
        "abort_multipart_upload",
        Key=name,
        UploadId=upload["UploadId"],
    )
    return "begun and aborted"


def _deletes(bucket: _Bucket, key: str) -> str:
    bucket.call("delete an object", "delete_object", Key=key)
    return "what the check wrote is gone"


def _says_lifecycle(bucket: _Bucket) -> str:
    if not any(_aborts_uploads(rule) for rule in bucket.lifecycle_rules()):
        raise _Wrong("uploads that were not finished stay and cost", "`aethex bucket init`")
    return f"unfinished uploads are aborted after {ABORT_UPLOADS_AFTER_DAYS} day"


def _says_cors(bucket: _Bucket, origins: list[str]) -> str:
    rules = bucket.cors_rules()
    if missing := [origin for origin in origins if not _is_allowed(rules, origin)]:
        raise _Wrong(f"pages of {', '.join(missing)} may not read", "`aethex bucket init`")
    return f"pages of {', '.join(origins)} may read"
