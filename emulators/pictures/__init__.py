"""The nanobananaapi.ai stand-in: tasks, callbacks and the host of finished pictures."""
