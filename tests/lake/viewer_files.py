"""Files of viewer counts in every format, for the importers' tests."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FORMATS = ["json", "ndjson", "csv", "parquet"]

Rows = list[dict[str, Any]]


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
