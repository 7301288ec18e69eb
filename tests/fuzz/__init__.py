"""The API against its own description: valid and invalid requests drawn from /openapi.json, each answer compared with it.

python -m tests.fuzz [--cases NUMBER] [--seed NUMBER]
"""
