"""`/v1/admin`: what operators see and do. Every route asks for an operator's key."""
