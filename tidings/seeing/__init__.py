"""Seeing a process from outside: its endpoint, whether it lives and is ready, how far behind it is, where it is."""
