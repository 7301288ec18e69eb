"""Office files: word processing, presentations, workbooks, and what these share."""
