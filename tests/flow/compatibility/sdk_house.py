"""What OpenAI's SDKs are let loose on: models of each type, behind a key."""

KEY = "a-key-of-this-test"
MODELS = {
    "tuned": {"provider": "custom"},
    "vectors": {"type": "embedding", "provider": "custom"},
    "texts": {"type": "completion", "provider": "custom"},
}
