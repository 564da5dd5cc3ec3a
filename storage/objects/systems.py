"""The file systems of object stores, with the credentials that each service's own tools find."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from storage.errors import SourceError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SCHEMES = ("s3", "gs", "az", "abfs", "abfss")
MOST_ATTEMPTS = 10  # of one request to S3, with growing pauses: over half a minute in all
# What a service refused, as Arrow quotes it, and what to do.
ADVICE = {
    r"EXPIRED|ExpiredToken": "the credentials have expired; renew them, then rerun",
    # S3 answers HEAD without saying why; an expired session token is the usual reason for 400
    r"HTTP status 400.*No response body": (
        "check whether the credentials have expired, renew them if so, then rerun"
    ),
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN|"
    r"MISSING_AUTHENTICATION|HTTP status 40[13]|\b40[13]\b": (
        "check the credentials and their permissions, then rerun"
    ),
    r"NO_SUCH_BUCKET|NoSuchBucket": "check the name of the bucket",
    r"HTTP status 301": "set AWS_REGION to the region of the bucket, then rerun",
    r"SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|HTTP status 50[03]": (
        "the service is overloaded or failing; rerun later"
    ),
}
OTHERWISE = "check the network and the endpoint, then rerun"


@cache
def file_system(scheme: str, bucket: str, endpoint: str = "") -> FileSystem:
    """Return the file system that holds a bucket.

    endpoint: URL of a server compatible with S3, see `s3_endpoint`.

    Credentials, region, and endpoint come from the service's standard chain: environment variables
    (AWS_ENDPOINT_URL for servers compatible with S3), configuration files, the machine's identity.
    """
    if scheme == "s3":
        return s3_system(bucket, endpoint, attempts=MOST_ATTEMPTS)
    if scheme == "gs":
        return gcs_system()
    return _azure(bucket)


def s3_system(
    bucket: str, endpoint: str, *, attempts: int, seconds: float | None = None
) -> FileSystem:
    """Return the file system of an S3 bucket; seconds: to connect and to answer, None as usual."""
    from pyarrow import fs  # late: slow to import

    server = s3_endpoint(endpoint)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not server and not region:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        endpoint_override=server or None,
        region=region,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
        connect_timeout=seconds,
        request_timeout=seconds,
        allow_delayed_open=True,  # a small object is written by one request
    )


def s3_endpoint(named: str = "") -> str:
    """Return the URL of a server that is compatible with S3; '' for Amazon's own.

    named: the one that a job file names, which comes before that of the environment.
    """
    chain = (named, *map(os.environ.get, ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")))
    return next(filter(None, chain), "")


def gcs_system(patience: timedelta | None = None) -> FileSystem:
    """Return the file system of Google Cloud Storage; patience: of retries, None as usual."""
    from pyarrow import fs  # late: slow to import

    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if not emulator:
        return fs.GcsFileSystem(retry_time_limit=patience)
    scheme, _, host = emulator.rpartition("://")
    return fs.GcsFileSystem(
        anonymous=True,
        scheme=scheme or "http",
        endpoint_override=host,
        retry_time_limit=patience,
    )


def _azure(bucket: str) -> FileSystem:
    from pyarrow import fs  # late: slow to import

    account = account_of(bucket) or os.environ.get("AZURE_STORAGE_ACCOUNT", "")
    if not account:
        raise SourceError(
            f"az://{bucket}: expected the name of the storage account in the environment variable "
            "AZURE_STORAGE_ACCOUNT, got none; set it, or write "
            "abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH"
        )
    return fs.AzureFileSystem(
        account,
        account_key=os.environ.get("AZURE_STORAGE_KEY"),
        sas_token=os.environ.get("AZURE_STORAGE_SAS_TOKEN"),
        **_azure_emulator(os.environ.get("AZURITE_BLOB_STORAGE_URL", "")),
    )


def _azure_emulator(url: str) -> dict[str, str]:
    """Return where an emulator listens, as Arrow takes it; empty without one."""
    if not url:
        return {}
    scheme, _, rest = url.rpartition("://")
    place = {"authority": rest.partition("/")[0], "scheme": scheme or "http"}
    return {
        f"{kind}_storage_{key}": each for kind in ("blob", "dfs") for key, each in place.items()
    }


def account_of(bucket: str) -> str:
    """Return the account of CONTAINER@ACCOUNT.dfs.core.windows.net; '' if it names none."""
    return bucket.partition("@")[2].partition(".")[0]


def service_error(error: Exception) -> str:
    """Return what a service said and what to do; '' if the error is none of a service."""
    said = str(error)
    if "Error performing" in said:
        said = _object_store_error(said)
    elif not re.search(r"AWS Error|curlCode|google::|GCS|Azure|azure", said):
        return ""
    advice = next((advice for found, advice in ADVICE.items() if re.search(found, said)), OTHERWISE)
    return f"({' '.join(said.split())}); {advice}"


def _object_store_error(said: str) -> str:
    """Return status and code, or the cause, of what the libraries of lake tables quote whole.

    Their text also holds the URL and the answer, and so perhaps a token.
    """
    status = re.search(r"\b[1-5]\d\d [A-Z][\w ]+", said)
    code = re.search(r"<Code>(\w+)</Code>", said)
    if status:
        return f"HTTP status {status[0].strip()}{f' {code[1]}' if code else ''}"
    causes = [line.strip() for line in re.split(r"\x1b\[\d+m|↳|\n", said)]
    return next((line for line in reversed(causes) if line and "://" not in line), "no answer")
