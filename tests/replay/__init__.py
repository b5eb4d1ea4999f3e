"""Recorded histories of every end state, replayed against today's workflows."""
