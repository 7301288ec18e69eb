"""Office files: documents, presentations and workbooks, and the modules they share."""
