"""WHAT is computed: one asset noun a file, each calling the cores and reporting what it did.

What belongs here: asset definitions whose bodies stay under 30 lines, and `models/<table>/`, the
SQL of the mart tables. What does not: how and when they run (pipelines), and any computing (the
cores). Modules with assets do without `from __future__ import annotations`: Dagster reads the
types of an asset's arguments.
"""
