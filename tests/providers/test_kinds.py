"""Providers are found by their files, and say all there is to say of their inputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import aethex.providers
from aethex.library.models import PROVIDER_PATTERN
from aethex.providers import ALL, _found

NEW = """
from aethex.providers.kinds import InputKind, ProviderParts
from aethex.providers.owncast import OwncastWebhooks


class Webhooks(OwncastWebhooks):
    name = "another"


PROVIDER = ProviderParts(InputKind("another", "Another", "Says when it is live."), Webhooks)
"""


def test_a_new_provider_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "another_server.py").write_text(NEW)
    monkeypatch.setattr(aethex.providers, "__path__", [*aethex.providers.__path__, str(tmp_path)])
    assert {*_found()} == {*ALL, "another"}


@pytest.mark.parametrize("name", ALL)
def test_all_parts_of_a_provider_have_its_name(name: str) -> None:
    parts = ALL[name]
    assert parts.kind.name == parts.webhooks.name == name
    assert {one.name for one in (parts.maker, parts.viewers) if one is not None} <= {name}
    assert re.fullmatch(PROVIDER_PATTERN, name)


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if one.kind.setup])
def test_a_server_is_told_where_to_send_its_webhooks(name: str) -> None:
    setup = ALL[name].kind.setup
    assert setup is not None
    lines = setup.lines("https://aethex.example", "live/gdq")
    assert f"https://aethex.example/webhooks/{name}?token=TOKEN" in lines
    assert setup.label
