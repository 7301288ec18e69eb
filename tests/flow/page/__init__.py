"""The page at `/`, in a real browser and by its files."""
