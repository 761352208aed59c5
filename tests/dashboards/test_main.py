from importlib.util import find_spec

from aethex.dashboards import __main__ as server
from aethex.settings import Settings


def test_the_server_listens_where_the_settings_say() -> None:
    settings = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        host="0.0.0.0",
        dashboards_port=9999,
    )
    command = server.command(settings, "--server.runOnSave=true")
    assert command[1:] == [
        "-m",
        "aethex.dashboards",
        "--server.address=0.0.0.0",
        "--server.port=9999",
        "--server.runOnSave=true",
    ]


def test_what_is_imported_ahead_exists() -> None:
    assert [name for name in server._IMPORTED_FIRST if find_spec(name) is None] == []


def test_the_theme_lies_where_streamlit_looks_for_it() -> None:
    assert server.APP_PATH.with_name(".streamlit").joinpath("config.toml").is_file()
