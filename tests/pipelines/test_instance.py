"""The Dagster instance as the processes get it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
import yaml
from dagster._grpc.client import DagsterGrpcClient

from aethex.pipelines.instance import (
    code_socket,
    commands,
    instance_env,
    open_instance,
    prepare_storage,
)
from aethex.postgres import DatabaseUnreachable, database_url
from aethex.settings import PROJECT_DIR, Settings


def test_its_tables_are_in_a_schema_of_their_own(settings: Settings) -> None:
    prepare_storage(settings)
    prepare_storage(settings)
    with psycopg.connect(database_url(settings, driver="")) as connection:
        rows = connection.execute(
            "select schemaname from pg_tables where tablename in ('runs', 'event_logs')"
        ).fetchall()
    assert rows == [("dagster",), ("dagster",)]


def test_it_is_configured_as_the_design_says(settings: Settings) -> None:
    prepare_storage(settings)
    with open_instance(settings) as instance:
        coordinator = instance.get_concurrency_config().run_queue_config
        assert coordinator is not None
        assert [limit["limit"] for limit in coordinator.tag_concurrency_limits] == [1, 2]
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled
    assert "DAGSTER_HOME" not in os.environ


def test_a_database_that_is_away_is_named(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:1/y"})
    for action in (prepare_storage, lambda s: open_instance(s).__enter__()):
        with pytest.raises(DatabaseUnreachable, match="AETHEX_DATABASE_URL"):
            action(away)


def test_the_environment_needs_no_database(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:1/y"})
    environment = instance_env(away)
    home = Path(environment["DAGSTER_HOME"])
    assert (home / "dagster.yaml").read_bytes() == (PROJECT_DIR / "dagster.yaml").read_bytes()
    assert environment["AETHEX_DAGSTER_DATABASE_URL"].startswith("postgresql+psycopg2://")


def test_every_variable_of_the_configuration_is_provided(settings: Settings) -> None:
    def variables(node: object) -> set[str]:
        if isinstance(node, dict):
            named = {node["env"]} if isinstance(node.get("env"), str) else set()
            return named.union(*map(variables, node.values()))
        return set().union(*map(variables, node)) if isinstance(node, list) else set()

    for name in ("dagster.yaml", "workspace.yaml"):
        needed = variables(yaml.safe_load((PROJECT_DIR / name).read_text()))
        assert needed <= set(instance_env(settings)), name


def test_a_socket_in_a_deep_folder_gets_a_short_path(settings: Settings, tmp_path: Path) -> None:
    deep = settings.model_copy(update={"data_dir": tmp_path / ("deep" * 20) / ("er" * 40)})
    assert len(os.fsencode(code_socket(deep))) <= 107
    assert code_socket(deep) == code_socket(deep)
    assert code_socket(deep).parent.stat().st_mode & 0o077 == 0


def test_the_code_server_answers_with_the_definitions(settings: Settings) -> None:
    prepare_storage(settings)
    socket = code_socket(settings)
    log = settings.data_dir / "code.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            commands(settings)["code"],
            env={**os.environ, **instance_env(settings)},
            stdout=output,
            stderr=output,
        )
    try:
        client = DagsterGrpcClient(socket=str(socket))
        deadline = time.monotonic() + 120
        while not socket.exists():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)  # nothing announces the moment it listens
        assert client.ping("hello")["echo"] == "hello"
        assert "__repository__" in client.list_repositories()
    finally:
        server.terminate()
        server.wait(60)
