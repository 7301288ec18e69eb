"""How a model is reached: one module a wire, each imported only when it is used; retry and fallback are providers around a provider."""
