"""Durable stories: deterministic, sandboxed, one workflow a job."""
