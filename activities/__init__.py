"""Steps that may fail: one class a stage. Each takes ports and opens no client.

Workflows import these classes to call their methods by type; loading them imports neither
httpx nor SQLModel. What an activity can classify it returns as a value, and the workflow
decides; what it cannot (a crash, a lost worker) Temporal retries.
"""
