"""`aethex demo` on the terminal: one bar a step, or one line a step where there is no terminal.

What belongs here: showing progress. What does not: the demo (aethex/demo).
"""

from __future__ import annotations

from datetime import UTC, datetime

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from aethex.commands.opening import open_database
from aethex.commands.terminal import output
from aethex.settings import Settings


def load_with_progress(settings: Settings) -> None:
    """Load what is missing of the demo; says nothing when it is complete."""
    from aethex.demo.missing import find_missing, needs_refresh, needs_viewing

    with open_database(settings):
        missing = find_missing(settings, datetime.now(UTC))
        is_unseen = needs_viewing(settings)
        if not missing and not is_unseen and not needs_refresh(settings):
            _settle_owner(settings)
            return
        from aethex.demo.load import load, refresh_numbers, watch_videos

        with _Steps() as steps:
            if missing:
                steps.expect("data", "Viewers, chat and segments")
                for entry in missing:
                    if entry.needs_film and entry.stream.film is not None:
                        steps.expect(entry.stream.film.scene, entry.stream.film.title)
            if is_unseen:
                steps.expect("viewing", "People who watch the videos")
            steps.expect("numbers", "Computing the numbers")
            if missing:
                load(settings, missing, steps.tell)
            _settle_owner(settings)
            if is_unseen:
                watch_videos(settings, steps.tell)
            refresh_numbers(settings, steps.tell)
    output.print("[green]✓[/] The demo content is ready.")


def _settle_owner(settings: Settings) -> None:
    """The demo's channels get their owner, once; the account's password is told nowhere."""
    from aethex.demo.owner import USERNAME, give_owner, needs_owner, password_path

    if needs_owner(settings) and give_owner(settings):
        where = escape(str(password_path(settings)))
        output.print(f"Its channels are @{USERNAME}'s; the password is in {where}", soft_wrap=True)


class _Steps:
    """Bars on a terminal; elsewhere a line when a step is done."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        self._bars = Progress(*columns, console=output, transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._done: set[str] = set()

    def __enter__(self) -> _Steps:
        if output.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if output.is_terminal:
            self._bars.stop()

    def expect(self, key: str, words: str) -> None:
        """A step that will come."""
        self._tasks[key] = self._bars.add_task(words, total=1.0)

    def tell(self, key: str, words: str, share: float) -> None:
        """How far a step is; called from several threads."""
        self._bars.update(self._tasks[key], description=words, completed=share)
        if share >= 1 and key not in self._done:
            self._done.add(key)
            if not output.is_terminal:
                output.print(f"{words}: done")
