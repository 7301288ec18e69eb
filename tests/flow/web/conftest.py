from tests.flow.live.conftest import live, start

__all__ = ["live", "start"]
