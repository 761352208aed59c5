"""The commands of `aethex`, one noun a file.

What belongs here: arguments, progress on the terminal, and reports as tables or JSON. What does
not: the work itself, which lives in the rooms and is imported when a command runs, so that `--help`
stays fast.
"""
