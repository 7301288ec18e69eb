"""Push notifications by ntfy (https://ntfy.sh, or a server of one's own): topics out, and topics in."""
