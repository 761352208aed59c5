"""A made-up audience that sends its events over HTTP, and what the numbers must be afterwards.

What belongs here: people and bots, their players, their networks, the truth about them, and sending
a landed window again. What does not: how events are taken (the service) and counted (the models);
nothing of either is used here, or the truth would prove nothing.
"""
