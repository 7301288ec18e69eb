"""The API against its own description: requests drawn from /openapi.json, right ones and wrong ones, each answer compared with what is declared.

python -m tests.fuzz [--cases NUMBER] [--seed NUMBER]
"""
