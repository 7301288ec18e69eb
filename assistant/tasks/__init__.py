"""Background tasks: helpers' turns, taken, run and handed back. The port is `assistant.contracts.tasks.Delegation`."""
