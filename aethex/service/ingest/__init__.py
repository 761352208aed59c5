"""Taking events in: from a request's body to a durable landing object.

What belongs here: what an event looks like on the wire, who may send what, which events are good,
and the group commit. What does not: the route (`service.api.events`), and what becomes of landed
events (the lake).
"""
