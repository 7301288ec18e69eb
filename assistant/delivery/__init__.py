"""What happens to a message that goes out: claimed, sent part by part, settled; and the channels that carry it, each under its supervisor."""
