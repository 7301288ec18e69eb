"""The configuration: found, read, checked, and passed on frozen.

`load_config` is the one way in. What each part can be told stands beside that part, in a model derived from
`assistant.contracts.settings.Settings`; `schema` joins them, and everything else here follows from the models.
"""

from assistant.config.errors import ConfigError
from assistant.config.load import Loaded, load_config
from assistant.config.schema import Config

__all__ = ["Config", "ConfigError", "Loaded", "load_config"]
