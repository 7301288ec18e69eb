"""What happens to a message: lane, intake, context, loop, append; and what is heard of it."""
