"""HOW and WHEN the assets run: wiring only, one noun a file.

What belongs here: definitions, resources, partitions, jobs, schedules, sensors, the Dagster
instance, and `refresh`, which runs what is due. What does not: what is computed (assets, lake).
"""
