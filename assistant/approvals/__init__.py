"""What waits for a person's yes: asked, answered, run once. The rows are `store/approvals.py`."""
