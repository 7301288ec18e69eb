"""What happens to a message that comes in over a channel: may its sender write, is it kept, which turn answers it."""
