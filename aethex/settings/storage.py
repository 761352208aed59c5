"""Where things are kept: the data folder, the database, the store, the catalog, the cache.

What belongs here: folders, addresses and credentials, and paths below the data folder. What does
not: how long anything is kept (`lake.py`, `video.py`).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from aethex.settings.group import SettingsGroup
from aethex.settings.values import AbsolutePath


class StorageSettings(SettingsGroup):
    """Folders, addresses and credentials of what keeps data."""

    data_dir: AbsolutePath = Field(
        default=Path("data"),
        description="Folder of the embedded database, the default store, caches, logs and the "
        "generated secret. Relative paths mean the project's folder.",
    )

    database_url: str | None = Field(
        default=None,
        description="Postgres for the library, Dagster and the Iceberg catalog, as "
        "postgresql://user:password@host:port/name. Empty: an embedded server in the data folder.",
    )

    store_url: str | None = Field(
        default=None,
        description="Where objects live: file:///folder, or s3://bucket/prefix for R2. "
        "Empty: the folder `store` in the data folder.",
    )
    store_endpoint: str | None = Field(
        default=None,
        description="S3 endpoint of the store, for R2 https://<account>.r2.cloudflarestorage.com.",
    )
    store_region: str = Field(default="auto", description="S3 region of the store; R2's is `auto`.")
    store_access_key_id: str | None = Field(
        default=None, description="S3 access key id of the store."
    )
    store_secret_access_key: SecretStr | None = Field(
        default=None, description="S3 secret access key of the store."
    )

    catalog_url: str | None = Field(
        default=None,
        description="Iceberg REST catalog (R2 Data Catalog). Empty: a catalog in Postgres.",
    )
    catalog_token: SecretStr | None = Field(
        default=None, description="Bearer token of the Iceberg REST catalog."
    )
    catalog_warehouse: str | None = Field(
        default=None, description="Warehouse name at the Iceberg REST catalog."
    )

    cache_max_bytes: int = Field(
        default=10 * 1024**3,
        ge=0,
        description="Local disk, in bytes, for mart files of a remote store; the least recently "
        "used go first.",
    )

    @property
    def postgres_dir(self) -> Path:
        """Preferred folder of the embedded server (it moves where its user cannot reach this)."""
        return self.data_dir / "postgres"

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run_dir(self) -> Path:
        """Sockets, pid files and rendered configuration of the running platform."""
        return self.data_dir / "run"

    @property
    def recorder_dir(self) -> Path:
        """Segments of live streams that are not in the store yet."""
        return self.data_dir / "recorder"

    @property
    def dagster_home(self) -> Path:
        return self.data_dir / "dagster"

    @property
    def effective_store_url(self) -> str:
        return self.store_url or (self.data_dir / "store").as_uri()

    @property
    def is_database_embedded(self) -> bool:
        return self.database_url is None
