"""Background tasks: helpers' turns and commands that go on, taken, run and handed back. The port is `assistant.contracts.tasks.Delegation`."""
