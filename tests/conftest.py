"""Settings of all tests."""

from hypothesis import settings

# The machine is shared and noisy: how long an example took says nothing about it.
settings.register_profile("tidings", deadline=None, print_blob=True)
settings.load_profile("tidings")
