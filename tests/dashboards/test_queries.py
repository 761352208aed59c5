"""Conventions of the cached reads, which no single page would notice being broken."""

from __future__ import annotations

import ast
import inspect

from aethex.dashboards import queries

# asks which build is current, so it cannot take one; it forgets after seconds
_KEYED_BY_STORE = {"_current_build"}


def test_every_cached_answer_is_keyed_by_its_build() -> None:
    cached = {
        node.name: [argument.arg for argument in node.args.args]
        for node in ast.parse(inspect.getsource(queries)).body
        if isinstance(node, ast.FunctionDef)
        and any("cache_data" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    assert len(cached) > 5
    keyless = {name for name, arguments in cached.items() if "build_id" not in arguments}
    assert keyless == _KEYED_BY_STORE


def test_every_cached_answer_about_a_channel_is_keyed_by_the_channel() -> None:
    for name in ("channel_summary", "channel_days", "channel_streams", "segments", "viewers"):
        function = getattr(queries, name)
        assert "channel_id" in inspect.signature(function).parameters, name
