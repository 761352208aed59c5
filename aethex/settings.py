"""Every setting of the platform, typed, with a default that needs nothing installed.

What belongs here: names, types, defaults and meanings of settings, and values that follow directly
from them (paths, URLs). What does not: opening connections, or reading files other than `.env`.

Each setting is read from the environment as `AETHEX_<NAME>`, or from the project's `.env`.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parent.parent


def _absolute(path: Path) -> Path:
    """A relative path means the project's folder, wherever the command was started."""
    return path if path.is_absolute() else PROJECT_DIR / path


def _listed(value: object) -> object:
    """A text's parts between commas."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())


def _issuer(url: str) -> str:
    """The address of an OIDC issuer, unchanged: tokens name it letter by letter."""
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    )
    if not is_safe or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("give the issuer's https address, without ?, # or a user")
    return url


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """All settings. A field's description is its documentation (docs/settings.md)."""

    model_config = SettingsConfigDict(
        env_prefix="AETHEX_",
        env_file=PROJECT_DIR / ".env",
        env_ignore_empty=True,
        extra="ignore",
    )

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

    host: str = Field(default="127.0.0.1", description="Address that the servers listen on.")
    service_port: int = Field(default=8000, ge=1, le=65535, description="Port of the service.")
    dagster_port: int = Field(default=3000, ge=1, le=65535, description="Port of Dagster's UI.")
    dashboards_port: int = Field(
        default=8501, ge=1, le=65535, description="Port of the dashboards."
    )
    public_url: str | None = Field(
        default=None,
        description="Address under which people reach the service, without a slash at the end. "
        "Empty: http://localhost:<service port>.",
    )

    media_secret: SecretStr | None = Field(
        default=None,
        description="Key that signs media addresses. Empty: generated once and kept in the data "
        "folder.",
    )
    media_max_bytes: int = Field(
        default=64 * 1024**3, gt=0, description="Largest video that is accepted, in bytes."
    )
    media_memory_bytes: int = Field(
        default=4 * 1024**3,
        gt=0,
        description="Memory limit, in bytes, of each child process that opens outside media.",
    )
    media_timeout_seconds: float = Field(
        default=6 * 3600,
        gt=0,
        description="Time limit of each child process that opens outside media, in seconds.",
    )

    rtmp_port: int = Field(
        default=1935, ge=0, le=65535, description="Port on which the recorder takes RTMP. 0: none."
    )
    srt_inputs: SecretStr | None = Field(
        default=None,
        description="Ports on which the recorder takes SRT, each with the stream key of the input "
        "whose it is, which is the connection's passphrase: 9001=key, separated by commas.",
    )
    recorder_disk_max_bytes: int = Field(
        default=20 * 1024**3,
        gt=0,
        description="Local disk, in bytes, for segments that wait while the store is away. Beyond "
        "it new segments are dropped, and the gap is recorded.",
    )
    recording_enabled: bool = Field(
        default=True,
        description="Whether streams are recorded, unless their channel's settings say otherwise. "
        "So are the next four.",
    )
    recording_min_seconds: int = Field(
        default=60,
        ge=0,
        description="A shorter recording is a test: it is not shown, and deleted a day later.",
    )
    recording_delete_after_days: int = Field(
        default=365,
        ge=0,
        description="How long VODs stay after their stream, in days; then they are hidden, and "
        "deleted 30 days later. 0: for ever.",
    )
    recording_user_delete: bool = Field(
        default=True, description="Whether creators may delete their VODs."
    )
    recording_formats: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=("hls", "mp4"),
        description="What a VOD is kept as: hls for watching (always), mp4 for download.",
    )

    fetch_allow: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(),
        description="Hosts and networks of your own that addresses from outside may lead to, such "
        "as media.internal or 10.0.5.0/24, separated by commas. Empty: public addresses only.",
    )

    session_days: float = Field(
        default=30,
        gt=0,
        description="How long somebody stays signed in after the last use, in days.",
    )
    password_memory_bytes: int = Field(
        default=64 * 1024**2,
        ge=8 * 1024,
        le=2 * 1024**3,
        description="Memory that hashing one password takes, in bytes (argon2id, three passes); "
        "each service process hashes two at once. Changed, passwords follow as people sign in.",
    )

    oidc_issuer: Annotated[str, AfterValidator(_issuer)] | None = Field(
        default=None,
        description="OpenID Connect issuer that people sign in with, exactly as its discovery "
        "document names it, such as https://id.example.org/realms/main. Empty: none.",
    )
    oidc_client_id: str | None = Field(
        default=None, description="Id that the issuer knows this service by."
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Secret of that client. Empty: it is a public one."
    )
    oidc_audience: str | None = Field(
        default=None,
        description="Audience (aud) that bearer tokens must be for. Empty: the client id.",
    )
    oidc_clock_skew_seconds: int = Field(
        default=60,
        ge=0,
        le=600,
        description="How far the issuer's clock may be from ours, in seconds.",
    )
    oidc_name: str | None = Field(
        default=None,
        description="What the issuer is called on pages: `Sign in with <name>`. Empty: its host.",
    )
    oidc_scopes: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=("openid", "profile"),
        description="Scopes that a browser's sign-in asks for, separated by commas.",
    )
    oidc_role_claim: str | None = Field(
        default=None,
        description="Claim that says somebody's role, such as groups or realm_access.roles; it is "
        "asked at each sign-in. Empty: the issuer has no say in roles.",
    )
    oidc_analyst_values: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(), description="Values of that claim that make an analyst, separated by commas."
    )
    oidc_admin_values: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(), description="Values of that claim that make an admin, separated by commas."
    )

    service_workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes of the service, each with its own buffer, and its own count of what "
        "players send.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(),
        description="Other origins whose pages may send events, such as https://aethex.live, "
        "separated by commas.",
    )
    events_flush_ms: int = Field(
        default=250,
        ge=0,
        le=10_000,
        description="How long the first event of a flush waits for others, in milliseconds.",
    )
    events_flush_rows: int = Field(
        default=20_000, gt=0, description="Events at which a flush waits no longer."
    )
    events_buffer_rows: int = Field(
        default=100_000,
        gt=0,
        description="Events that may wait for the store; beyond that the answer is 429.",
    )
    events_per_viewer_minute: int = Field(
        default=600, gt=0, description="Events that one viewer's players may send in a minute."
    )
    events_per_address_minute: int = Field(
        default=12_000,
        gt=0,
        description="Events that players may send from one address (of IPv6: one /64) in a minute.",
    )

    cloudflare_stream_url: str | None = Field(
        default=None,
        description="Address of your Cloudflare Stream, https://customer-<code>."
        "cloudflarestream.com: viewers of its live inputs are counted each minute. Empty: not.",
    )

    cloudflare_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Secret that Cloudflare Stream signs its webhooks of videos with. Empty: they "
        "are refused.",
    )
    cloudflare_notification_secret: SecretStr | None = Field(
        default=None,
        description="Secret that Cloudflare's notifications of live inputs bring along "
        "(cf-webhook-auth). Empty: they are refused.",
    )
    cloudflare_account_id: str | None = Field(
        default=None, description="Cloudflare account whose Stream is asked by its API."
    )
    cloudflare_api_token: SecretStr | None = Field(
        default=None, description="API token of that account, with Stream:Edit."
    )
    mux_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Signing secret of Mux' webhooks. Empty: they are refused.",
    )
    mux_token_id: str | None = Field(
        default=None, description="Id of the access token by which Mux is asked by its API."
    )
    mux_token_secret: SecretStr | None = Field(
        default=None, description="Secret of that Mux access token."
    )
    mediamtx_webhook_token: SecretStr | None = Field(
        default=None, description="Token that MediaMTX' hooks send along. Empty: they are refused."
    )
    srs_webhook_token: SecretStr | None = Field(
        default=None, description="Token that SRS' callbacks send along. Empty: they are refused."
    )
    nginx_rtmp_webhook_token: SecretStr | None = Field(
        default=None,
        description="Token that nginx-rtmp's notifications send along. Empty: they are refused.",
    )
    owncast_webhook_token: SecretStr | None = Field(
        default=None,
        description="Token that Owncast's webhooks send along. Empty: they are refused.",
    )
    webhook_tolerance_seconds: float = Field(
        default=300,
        gt=0,
        description="How far from now a webhook's signed time may be, in seconds.",
    )
    webhook_senders: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_listed)] = (
        Field(
            default=(),
            description="Addresses and networks of the MediaMTX, SRS, nginx-rtmp and Owncast "
            "servers that may send webhooks, such as 192.0.2.7,10.0.0.0/8, separated by commas. "
            "Empty: the token alone decides.",
        )
    )

    landing_rows_per_object: int = Field(
        default=250_000, gt=0, description="Most rows in one landing object of an import."
    )
    window_max_rows: int = Field(
        default=1_000_000,
        gt=0,
        description="Most rows that one publish window holds; it bounds the publisher's memory. "
        "A single landing object above it is a window of its own.",
    )

    landing_keep_days: float = Field(
        default=7,
        ge=0,
        description="How long landed objects stay after they were published, in days; so long "
        "their windows can be published again. Then they go, once their rows are proven to be in "
        "the tables.",
    )
    quarantine_keep_days: float = Field(
        default=30, ge=0, description="How long refused events stay in quarantine, in days."
    )
    builds_keep_days: float = Field(
        default=30,
        ge=0,
        description="How long past builds can be opened, in days. The current one always stays.",
    )
    snapshots_keep_hours: float = Field(
        default=24,
        ge=0,
        description="How long past states of the lake's tables can be read, in hours.",
    )
    orphans_grace_hours: float = Field(
        default=24,
        ge=1,
        description="How old files of the lake that nothing names must be to be deleted, in hours: "
        "longer than any run takes from writing a file to naming it.",
    )
    maintenance_budget_seconds: float = Field(
        default=240,
        gt=0,
        description="How long one maintenance may take, in seconds; publishing waits meanwhile. "
        "What is left is done by the next.",
    )
    watermark_late_seconds: float = Field(
        default=900,
        gt=0,
        description="How long what has landed may wait for being published, in seconds, before the "
        "check of freshness turns red.",
    )

    demo: bool = Field(
        default=True, description="Whether `make up` makes demo content at its first start."
    )

    @model_validator(mode="after")
    def _issuer_needs_a_client(self) -> Self:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("AETHEX_OIDC_ISSUER is set: set AETHEX_OIDC_CLIENT_ID too")
        return self

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
    def effective_public_url(self) -> str:
        return (self.public_url or f"http://localhost:{self.service_port}").rstrip("/")

    @property
    def is_database_embedded(self) -> bool:
        return self.database_url is None


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once. Tests call `get_settings.cache_clear()`."""
    return Settings()
