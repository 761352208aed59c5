"""`aethex users …` and `aethex channels …`: accounts, roles, the audit log, and who owns what.

What belongs here: arguments, asking for passwords, what the terminal shows. What does not: queries
(`library.accounts`, `library.channels`). A password is never an argument: those are seen by other
users of the machine, and kept in the shell's history.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.markup import escape
from rich.table import Table

from aethex.commands.opening import open_session
from aethex.commands.terminal import output, print_table, utc_text
from aethex.settings import get_settings

if TYPE_CHECKING:
    from aethex.library import Role

users_app = typer.Typer(
    help="People with accounts: their roles, passwords, and what they changed.",
    no_args_is_help=True,
)
channels_app = typer.Typer(help="Channels and their owners.", no_args_is_help=True)

Username = Annotated[str, typer.Argument(help="Username, as it stands in addresses.")]


def add_commands(app: typer.Typer) -> None:
    """Register this file's commands."""
    app.add_typer(users_app, name="users")
    app.add_typer(channels_app, name="channels")


@users_app.command()
def add(
    username: Username,
    display_name: Annotated[str, typer.Option(help="Name that others see.")] = "",
    role: Annotated[str, typer.Option(help="viewer, analyst or admin.")] = "viewer",
) -> None:
    """Make an account. The password is asked for, or is the first line of stdin."""
    from aethex.library import accounts
    from aethex.library.audit import COMMAND_LINE
    from aethex.library.values import valid_username

    given = _role(role)
    hashed = _new_password_hash(valid_username(username))
    with open_session() as s:
        user = accounts.sign_up(s, COMMAND_LINE, username, display_name, hashed)
        accounts.set_role(s, COMMAND_LINE, user.id, given)
    output.print(f"@{username} ({user.id}) can sign in.", soft_wrap=True)


@users_app.command("list")
def list_users() -> None:
    """Show all users and their roles."""
    from aethex.library import accounts

    with open_session() as s:
        found = accounts.list_all(s)
    table = _table("id", "username", "name", "role", "since")
    for user in found:
        table.add_row(
            user.id,
            user.username,
            escape(user.display_name),
            user.role,
            f"{user.created_at:%Y-%m-%d}",
        )
    print_table(table, "There are no users yet: `aethex users add` makes one.")


@users_app.command()
def role(
    username: Username, role: Annotated[str, typer.Argument(help="viewer, analyst or admin.")]
) -> None:
    """Give a user a role: analysts read all numbers, admins do everything."""
    from aethex.library import accounts
    from aethex.library.audit import COMMAND_LINE

    given = _role(role)
    with open_session() as s:
        accounts.set_role(s, COMMAND_LINE, accounts.named(s, username).id, given)
    output.print(f"@{username} is {role}.")


@users_app.command()
def password(username: Username) -> None:
    """Give a user a new password (asked for, or the first line of stdin), and end their sessions.

    Also gives one to a user who had none.
    """
    from aethex.library import accounts, sessions
    from aethex.library.audit import COMMAND_LINE

    hashed = _new_password_hash(username)
    with open_session() as s:
        user = accounts.named(s, username)
        accounts.set_password(s, COMMAND_LINE, user.id, hashed, datetime.now(UTC))
        ended = sessions.end_all(s, user.id)
    output.print(f"@{username} has a new password; {ended} sessions ended.")


@users_app.command()
def audit(
    username: Annotated[
        str | None, typer.Option("--user", help="Only what this user did, or was done to them.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many, the latest.")] = 50,
) -> None:
    """Show who changed what, when and from where, the latest last."""
    from aethex.library import accounts
    from aethex.library import audit as log

    with open_session() as s:
        about = accounts.named(s, username).id if username is not None else None
        entries = log.latest(s, limit, about=about)
        names = {user.id: f"@{user.username}" for user in accounts.list_all(s)}
    table = _table("at", "who", "action", "what", "changes", "address")
    for entry in reversed(entries):
        who, what = entry.user_id or "", entry.subject_id or ""
        table.add_row(
            utc_text(entry.at.replace(microsecond=0)),
            names.get(who, who),
            entry.action,
            names.get(what, what),
            escape(json.dumps(entry.changes, ensure_ascii=False)) if entry.changes else "",
            entry.address or "",
        )
    print_table(table, "Nothing was changed yet.")


@channels_app.command()
def claim(
    username: Annotated[str, typer.Argument(help="Username of the channel.")],
    owner: Annotated[str, typer.Option(help="Username of who owns it from now on.")],
) -> None:
    """Give a channel, such as an imported one, an owner."""
    from aethex.library import NotInLibrary, accounts, channels
    from aethex.library.audit import COMMAND_LINE

    with open_session() as s:
        channel = channels.by_username(s, username)
        if channel is None:
            raise NotInLibrary(f"There is no channel {username!r}: check the name.")
        channels.claim(s, COMMAND_LINE, channel.id, accounts.named(s, owner).id)
    output.print(f"The channel @{username} is @{owner}'s.")


def _role(text: str) -> Role:
    from aethex.library import Role

    for known in get_args(Role):
        if text == known:
            return known
    raise typer.BadParameter(f"{text!r} is no role: give viewer, analyst or admin.")


def _new_password_hash(username: str) -> str:
    """Ask for a password (twice on a terminal). Raises InvalidValue for one that is too weak."""
    from aethex.library.passwords import Passwords, valid_password

    if sys.stdin.isatty():
        text = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    passwords = Passwords(get_settings().password_memory_bytes)
    return passwords.hash(valid_password(text, username))


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
