"""How the libraries of lake tables reach an object store that Arrow reaches by other means."""

from __future__ import annotations

import os
from pathlib import Path

from storage.errors import SourceError
from storage.objects import systems
from storage.objects.paths import ObjectPath

CONNECT_SECONDS = 3


def delta_options(table: Path) -> dict[str, str]:
    """Return the options by which deltalake reaches a table; none for a local folder.

    Credentials come from the environment and the files of the service, as everywhere. Raises
    OSError.
    """
    if not isinstance(table, ObjectPath):
        return {}
    options = {
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "max_retries": str(systems.MOST_ATTEMPTS - 1),
    }
    if table.scheme == "s3":
        return options | _s3_options(table)
    return options if table.scheme == "gs" else options | _azure_options(table)


def _s3_options(table: ObjectPath) -> dict[str, str]:
    options = {"aws_region": table.system.region}
    if endpoint := systems.s3_endpoint(table.endpoint):
        options["aws_endpoint"] = endpoint
        options["allow_http"] = str(endpoint.startswith("http://")).lower()
    return options


def _azure_options(table: ObjectPath) -> dict[str, str]:
    found = {
        "azure_storage_account_name": systems.account_of(table.parts[1])
        or os.environ.get("AZURE_STORAGE_ACCOUNT"),
        "azure_storage_account_key": os.environ.get("AZURE_STORAGE_KEY"),
        "azure_storage_sas_key": os.environ.get("AZURE_STORAGE_SAS_TOKEN"),
    }
    return {name: value for name, value in found.items() if value}


def iceberg_properties(table: Path) -> dict[str, str]:
    """Return the properties by which pyiceberg reaches a table; none for a local folder.

    Raises SourceError for other services than S3.
    """
    if not isinstance(table, ObjectPath):
        return {}
    if table.scheme != "s3":
        raise SourceError(
            f"{table}: Iceberg table; expected it in S3 or on a local disk. Export its rows to "
            "Parquet"
        )
    endpoint = systems.s3_endpoint(table.endpoint)
    found = {"s3.region": table.system.region, "s3.connect-timeout": str(CONNECT_SECONDS)}
    return found | ({"s3.endpoint": endpoint} if endpoint else {})
