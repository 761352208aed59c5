"""`aethex up`: the whole platform on one machine, each process restarted alone, stopped together.

What belongs here: preflight, starting and stopping through supervisor, one running copy a data
folder. What does not: what the processes do.
"""
