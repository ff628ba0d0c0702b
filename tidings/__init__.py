"""The program: command line, settings, clock, local services."""
