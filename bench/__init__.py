"""What nanobot costs, measured from outside: a real server process, a stand-in for the model, and a load generator beside them.

python -m bench [--only NAME] [--quick] [--json FILE] [--write docs/performance.md]
"""
