"""How fast viewer counts are imported and published, and how much memory that takes.

Makes a file of N rows (one a second) in each format, imports it in a process of its own, publishes
it in another, and compares the CPU time of both with a plain scan of the same file in the same run.

    .venv/bin/python -m benchmarks.import_viewers [--rows 10000000] [--formats csv parquet json]

It needs room on disk for file and lake, about 250 bytes a row, in a temporary folder (`--folder`
says where) that is removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from aethex.lake import Lake
from aethex.lake.importers import land_viewers, read_viewers
from aethex.lake.publish import publish
from aethex.postgres import start_embedded
from aethex.settings import Settings
from benchmarks.measure import Measured, in_a_child

FORMATS = ("csv", "parquet", "ndjson", "json")
CHUNK_ROWS = 500_000
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def main() -> None:
    parser = argparse.ArgumentParser(description="Import and publish viewer counts, measured.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    idle = in_a_child(do_nothing)
    print(f"{options.rows:,} rows; a process that only imports the code: {idle.peak_mib:.0f} MiB")
    columns = ("seconds", 8), ("rows/s", 10), ("CPU s", 8), ("of a scan", 10), ("peak MiB", 9)
    print(" " * 18 + " ".join(f"{name:>{width}}" for name, width in columns))
    for form in options.formats:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(Path(folder), form, options.rows)


def measure(folder: Path, form: str, rows: int) -> None:
    """Make the file, scan it, import it, publish it; print a line each."""
    path = folder / f"viewers.{form}"
    in_a_child(make_file, path, form, rows)
    settings = Settings(data_dir=folder / "data", database_url=None, store_url=None)
    scan = in_a_child(plain_scan, path, form)
    show(form, "scan", scan, rows, scan)
    with start_embedded(settings):
        imported = in_a_child(import_file, settings, path)
        assert imported.answer == rows, imported.answer
        show(form, "import", imported, rows, scan)
        published = in_a_child(publish_all, settings)
        assert published.answer == rows, published.answer
        show(form, "publish", published, rows, scan)


def show(form: str, step: str, measured: Measured, rows: int, scan: Measured) -> None:
    ratio = measured.cpu_seconds / scan.cpu_seconds
    print(
        f"{form:8} {step:8} {measured.seconds:8.1f} {rows / measured.seconds:10,.0f} "
        f"{measured.cpu_seconds:8.1f} {ratio:9.1f}x {measured.peak_mib:9.0f}",
        flush=True,
    )


# --- steps, each in a process of its own ----------------------------------------------------------


def do_nothing() -> None:
    """The memory of a process that has imported the code."""


def make_file(path: Path, form: str, rows: int) -> None:
    """A row a second: time, v, c, as pieces so that memory stays small."""
    pieces = (chunk(start, min(CHUNK_ROWS, rows - start)) for start in range(0, rows, CHUNK_ROWS))
    if form == "parquet":
        first = next(pieces).to_arrow()
        with pq.ParquetWriter(path, first.schema) as writer:
            writer.write_table(first)
            for piece in pieces:
                writer.write_table(piece.to_arrow())
        return
    with path.open("wb") as file:
        for index, piece in enumerate(pieces):
            if form == "csv":
                piece.write_csv(
                    file, include_header=index == 0, datetime_format="%Y-%m-%dT%H:%M:%SZ"
                )
                continue
            lines = piece.with_columns(
                pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
            ).write_ndjson()
            if form == "json":
                lines = ("," if index else "[") + lines.rstrip("\n").replace("\n", ",")
            file.write(lines.encode())
        if form == "json":
            file.write(b"]")


def chunk(start: int, count: int) -> pl.DataFrame:
    """Rows of one viewer count a second, with a failed poll (null) in every hundredth."""
    second = pl.int_range(start, start + count, eager=True)
    return pl.DataFrame(
        {
            "time": pl.Series("time", second * 1_000_000 + 1_577_836_800_000_000).cast(
                pl.Datetime("us")
            ),
            "v": pl.select(pl.when(second % 100 != 7).then(second * 7919 % 250_000)).to_series(),
            "c": second * 31 % 900,
        }
    )


def plain_scan(path: Path, form: str) -> int:
    """What reading the file costs anyway: polars counts the viewers in it."""
    if form == "json":
        return sum(row["v"] or 0 for row in json.loads(path.read_bytes()))
    scans = {"csv": pl.scan_csv, "parquet": pl.scan_parquet, "ndjson": pl.scan_ndjson}
    frame = scans[form](path).select(pl.col("v").sum(), pl.col("time").max(), pl.col("c").sum())
    return int(frame.collect(engine="streaming").item(0, "v"))


def import_file(settings: Settings, path: Path) -> int:
    """Land the file; the rows that landed."""
    with Lake.open(settings) as lake:
        report = land_viewers(lake, read_viewers(path), channel_id="ch_bench", stream_id="st_bench")
    return report.imported


def publish_all(settings: Settings) -> int:
    """Publish what landed; the rows that came into the table."""
    with Lake.open(settings) as lake:
        return sum(window.rows_out for window in publish(lake))


if __name__ == "__main__":
    main()
