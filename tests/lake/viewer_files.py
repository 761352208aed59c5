"""Files of viewer counts in every format, for the importers' tests."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aethex.lake import Lake
from aethex.lake.importers import ViewersReport, land_viewers, read_viewers

FORMATS = ["json", "ndjson", "csv", "parquet"]

Rows = list[dict[str, Any]]

START = datetime.fromisoformat("2020-01-05T13:00")


def write(folder: Path, form: str, rows: Rows, name: str = "viewers") -> Path:
    """The rows as a file of that format; its name says nothing about the format."""
    path = folder / f"{name}.{form}.data"
    if form == "json":
        path.write_text(json.dumps(rows))
    elif form == "ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif form == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def minutes(count: int, first: int = 0) -> Rows:
    return [
        {
            "time": (START + timedelta(minutes=first + i)).isoformat() + "+00:00",
            "v": 100 + first + i,
            "c": i % 7,
        }
        for i in range(count)
    ]


def bring(lake: Lake, path: Path, stream_id: str = "st_1", **options: Any) -> ViewersReport:
    return land_viewers(lake, read_viewers(path, **options), channel_id="ch_1", stream_id=stream_id)


def assert_adds_up(report: ViewersReport) -> None:
    assert report.rows_read == (
        report.imported + report.duplicates + report.already_present + report.rejected_count
    )
