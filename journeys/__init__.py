"""The rules, pure: a decision is a function of one customer, one input, the catalogue and the time.

`decide` has the control flow; everything it calls is a leaf on its own slice of the state, and leaves don't
know each other. No clock, no chance, no network: time comes with the input, ids and splits are hashes.
"""
