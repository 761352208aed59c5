"""Dashboards for creators and analysts: what a channel's streams did, drawn by Streamlit.

What belongs here: pages, charts, tables, wording and the theme. What does not: how a number is
computed (`aethex.lake.analytics`), or acting on anything (the service's API).

Start: `python -m aethex.dashboards` (see `__main__`).
"""
