"""The demo's channels have an owner who can sign in, and nobody else gets them."""

from __future__ import annotations

import stat

from aethex.demo.content import CHANNELS
from aethex.demo.owner import USERNAME, give_owner, needs_owner, password_path
from aethex.library import Library, accounts, channels, forgetting, new_id
from aethex.library.audit import COMMAND_LINE
from aethex.library.passwords import Passwords
from aethex.settings import Settings


def make_channels(settings: Settings, library: Library) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with library.session() as s:
        for channel in CHANNELS:
            channels.ensure_channel(s, channel.username, channel.title)


def owners(library: Library) -> set[str | None]:
    with library.session() as s:
        return {channel.owner_id for channel in channels.list(s).items}


def test_the_account_is_made_once_and_its_password_is_in_a_file_of_ours_alone(
    settings: Settings, library: Library
) -> None:
    assert not needs_owner(settings)
    make_channels(settings, library)
    assert needs_owner(settings)
    assert give_owner(settings)
    assert not needs_owner(settings)
    path = password_path(settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with library.session() as s:
        found = accounts.with_password(s, USERNAME)
    assert found is not None
    assert Passwords(8 * 1024).matches(found[1], path.read_text().strip())
    assert owners(library) == {found[0].id}
    assert give_owner(settings)  # again changes nothing
    assert owners(library) == {found[0].id}


def test_who_has_the_name_already_gets_nothing(settings: Settings, library: Library) -> None:
    make_channels(settings, library)
    with library.session() as s:
        hashed = Passwords(8 * 1024).hash("somebody's own password")
        accounts.sign_up(s, COMMAND_LINE, USERNAME, "", hashed)
    assert not give_owner(settings)
    assert owners(library) == {None}


def test_an_account_that_was_forgotten_does_not_come_back(
    settings: Settings, library: Library
) -> None:
    make_channels(settings, library)
    give_owner(settings)
    with library.session() as s:
        forgetting.empty(s, accounts.named(s, USERNAME).id, new_id("usr"))
    assert not needs_owner(settings)
