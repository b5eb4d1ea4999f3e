"""The DeepSeek stand-in: reads a request as the real one does, and writes as a model would."""
