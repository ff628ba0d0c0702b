"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# The machine is shared and noisy: how long an example, or drawing it, took says nothing about either.
settings.register_profile("tidings", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tidings")
