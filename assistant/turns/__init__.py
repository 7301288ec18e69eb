"""Turns: lane, intake, context, loop, append, and the events a listener gets."""
