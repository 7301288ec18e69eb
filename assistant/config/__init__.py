"""The configuration: found, read, validated once, and passed on frozen.

`load_config` is the entry point. The settings of each part are declared beside that part, in a model derived from
`assistant.contracts.util.Settings`; `schema` joins them, and everything else here is read off the models.
"""

from assistant.config.errors import ConfigError
from assistant.config.load import Loaded, load_config
from assistant.config.schema import Config

__all__ = ["Config", "ConfigError", "Loaded", "load_config"]
