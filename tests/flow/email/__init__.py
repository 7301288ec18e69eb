"""E-mail: who a sender is, what they wrote, and what the server says to what is sent."""
