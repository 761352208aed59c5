"""The bucket's administration, against a server that speaks S3 (moto) and R2's own local server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from aethex.bucket import Finding, check_bucket, init_bucket
from aethex.settings import Settings
from aethex.store import StoreError
from tests.commands import Commands
from tests.r2 import R2Server

THEIRS = {
    "ID": "theirs",
    "Status": "Enabled",
    "Filter": {"Prefix": "a/"},
    "Expiration": {"Days": 9},
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def bucket(server: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of a bucket of the test's own, which is not there yet."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60]
    return {
        "store_url": f"s3://{name}/live",
        "store_endpoint": server,
        "store_region": "us-east-1",
        "store_access_key_id": "key",
        "store_secret_access_key": SecretStr("secret"),
        "public_url": "https://live.example",
        "cors_origins": ("https://other.example",),
    }


def settings_of(values: dict[str, Any], tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, **values)  # pyright: ignore[reportCallIssue]


def client(values: dict[str, Any]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=values["store_endpoint"],
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def test_a_bucket_is_made_once_and_is_then_good(bucket: dict[str, Any], tmp_path: Path):
    settings = settings_of(bucket, tmp_path)
    first = list(check_bucket(settings))
    assert states(first) == {"bucket": "bad"}
    assert "aethex bucket init" in first[0].remedy
    assert len(init_bucket(settings)) == 3
    assert init_bucket(settings) == []
    findings = list(check_bucket(settings))
    assert {finding.state for finding in findings} == {"good"}
    assert {"lifecycle", "CORS", "upload in parts", "delete"} <= set(states(findings))


def test_the_check_leaves_nothing(bucket: dict[str, Any], tmp_path: Path):
    settings = settings_of(bucket, tmp_path)
    init_bucket(settings)
    list(check_bucket(settings))
    name = bucket["store_url"].split("/")[2]
    assert client(bucket).list_objects_v2(Bucket=name)["KeyCount"] == 0
    assert not client(bucket).list_multipart_uploads(Bucket=name).get("Uploads")


def test_rules_of_others_stay(bucket: dict[str, Any], tmp_path: Path):
    s3, name = client(bucket), bucket["store_url"].split("/")[2]
    s3.create_bucket(Bucket=name)
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [THEIRS]})
    theirs = {"AllowedOrigins": ["https://third.example"], "AllowedMethods": ["PUT"]}
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [theirs]})
    init_bucket(settings_of(bucket, tmp_path))
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert {rule["ID"] for rule in rules} == {"theirs", "aethex-abort-unfinished-uploads"}
    cors = s3.get_bucket_cors(Bucket=name)["CORSRules"]
    assert [rule["AllowedOrigins"] for rule in cors] == [
        ["https://third.example"],
        ["https://live.example", "https://other.example"],
    ]


def test_a_rule_that_does_less_is_not_enough(bucket: dict[str, Any], tmp_path: Path):
    s3, name = client(bucket), bucket["store_url"].split("/")[2]
    settings = settings_of(bucket, tmp_path)
    init_bucket(settings)
    late = {
        "ID": "late",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 30},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [late]})
    s3.delete_bucket_cors(Bucket=name)
    found = states(list(check_bucket(settings)))
    assert (found["lifecycle"], found["CORS"]) == ("bad", "bad")
    init_bucket(settings)
    assert {one.state for one in check_bucket(settings)} == {"good"}


def test_another_origin_is_added_and_nothing_else(bucket: dict[str, Any], tmp_path: Path):
    init_bucket(settings_of(bucket, tmp_path))
    more = bucket | {"cors_origins": ("https://other.example", "https://new.example")}
    changes = init_bucket(settings_of(more, tmp_path))
    assert changes == ["pages of https://new.example may read objects"]


def test_a_folder_has_no_bucket(tmp_path: Path):
    with pytest.raises(StoreError, match="is a folder, which has no bucket"):
        init_bucket(settings_of({}, tmp_path))


def test_a_server_that_is_away_is_a_finding(bucket: dict[str, Any], tmp_path: Path):
    away = bucket | {"store_endpoint": "http://127.0.0.1:9"}
    findings = list(check_bucket(settings_of(away, tmp_path)))
    assert states(findings) == {"bucket": "bad"}
    assert "does not answer" in findings[0].says


@pytest.mark.r2
def test_on_r2_everything_that_its_local_server_offers_is_good(r2: R2Server, tmp_path: Path):
    values = {
        "store_url": f"{r2.url}/check",
        "store_endpoint": r2.endpoint,
        "store_access_key_id": r2.access_key_id,
        "store_secret_access_key": r2.secret,
    }
    found = states(list(check_bucket(settings_of(values, tmp_path))))
    assert found.pop("lifecycle") == found.pop("CORS") == "not offered"
    assert set(found.values()) == {"good"}
    assert len(found) == 7


def test_the_command_says_each_thing_and_fails_when_one_is_bad(
    bucket: dict[str, Any], tmp_path: Path
):
    more = {name: str(value) for name, value in bucket.items() if name != "cors_origins"}
    more["store_secret_access_key"] = "secret"
    aethex = Commands(tmp_path, None, more)
    checked = aethex("bucket", "check")
    assert (checked.code, "there is no bucket" in checked.stdout) == (1, True)
    assert "made the bucket" in aethex("bucket", "init").stdout
    assert "Nothing to change" in aethex("bucket", "init").stdout
    checked = aethex("bucket", "check")
    assert (checked.code, checked.stdout.count("good")) == (0, 9)
