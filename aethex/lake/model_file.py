"""YAML files whose every value knows its line, so that a mistake in one is reported where it
stands.

What belongs here: reading and checking shapes. What does not: what a model's keys mean (`models`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import yaml

from aethex.settings import PROJECT_DIR


class ModelError(ValueError):
    """A model's file is wrong. The message is one line: file, line, what is wrong, what to do."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        self.path = path
        self.line = line
        shown = path.relative_to(PROJECT_DIR) if path.is_relative_to(PROJECT_DIR) else path
        super().__init__(f"{shown}:{line}: {message}")


class Section:
    """One mapping of a YAML file."""

    def __init__(self, path: Path, node: yaml.MappingNode) -> None:
        self.path = path
        self.line = node.start_mark.line + 1
        self._nodes: dict[str, yaml.Node] = {}
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            if not isinstance(key, yaml.ScalarNode):
                raise ModelError(path, key.start_mark.line + 1, "a key must be a plain word")
            if key.value in self._nodes:
                raise ModelError(path, key.start_mark.line + 1, f"{key.value!r} is given twice")
            self._nodes[key.value] = value

    @classmethod
    def read(cls, path: Path) -> Section:
        """The file's outermost mapping. Raises ModelError when it is not YAML or not a mapping."""
        try:
            node = _compose(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(path, 1, "the file is missing; every model folder has one") from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ModelError(path, line, f"not readable as YAML: {error.problem}") from error
        if not isinstance(node, yaml.MappingNode):
            raise ModelError(path, 1, "the file must hold `key: value` lines")
        return cls(path, node)

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def names(self) -> list[str]:
        """The keys in the order of the file."""
        return list(self._nodes)

    def line_of(self, key: str) -> int:
        """The line of the key's value, or of the section when there is none."""
        node = self._nodes.get(key)
        return node.start_mark.line + 1 if node is not None else self.line

    def fail(self, key: str, message: str) -> ModelError:
        """The error to raise about that key."""
        return ModelError(self.path, self.line_of(key), message)

    def only(self, allowed: Iterable[str]) -> None:
        """Raise ModelError for a key that is not one of `allowed`."""
        names = list(allowed)
        for key in self._nodes:
            if key not in names:
                raise self.fail(key, f"unknown key {key!r}; known are {', '.join(names)}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty; `default` when the key is missing and a default is given."""
        node = self._nodes.get(key)
        if node is None and default is not None:
            return default
        if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
            raise self.fail(key, f"`{key}` must be given, as text")
        return str(node.value).strip()

    def flag(self, key: str, default: bool) -> bool:
        """`true` or `false`."""
        if key not in self._nodes:
            return default
        value = self.text(key)
        if value not in ("true", "false"):
            raise self.fail(key, f"`{key}` must be true or false, not {value!r}")
        return value == "true"

    def texts(self, key: str) -> list[str]:
        """A list of texts, at least one."""
        node = self._nodes.get(key)
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.fail(key, f"`{key}` must be a list, with at least one entry")
        items = cast("list[yaml.Node]", node.value)
        for item in items:
            if not isinstance(item, yaml.ScalarNode):
                raise ModelError(
                    self.path, item.start_mark.line + 1, f"`{key}` holds plain words only"
                )
        return [str(item.value) for item in items]

    def section(self, key: str) -> Section:
        """The mapping under that key."""
        node = self._nodes.get(key)
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(key, f"`{key}` must be given, as `key: value` lines")
        return Section(self.path, node)

    def sections(self, key: str) -> list[Section]:
        """A list of mappings; empty when the key is missing."""
        node = self._nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            raise self.fail(key, f"`{key}` must be a list")
        items = cast("list[yaml.Node]", node.value)
        for item in items:
            if not isinstance(item, yaml.MappingNode):
                raise ModelError(
                    self.path, item.start_mark.line + 1, f"an entry of `{key}` has keys"
                )
        return [Section(self.path, item) for item in items if isinstance(item, yaml.MappingNode)]


def _compose(text: str) -> yaml.Node | None:
    return yaml.SafeLoader(text).get_single_node()
