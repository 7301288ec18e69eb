"""What happens later: rules, occurrences, watches. The port is `assistant.contracts.schedules.ScheduleBook`."""
