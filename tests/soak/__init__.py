"""The soak: a real server under a mixed load for minutes; what it takes and what it leaves behind is measured from outside."""
