"""`tidings doctor`: looks at everything that has to be right around Tidings, and says what to do where it isn't.

Every check returns findings and raises nothing: what can't be looked at is a finding too. Nothing is changed, except
that one record with the clock goes to `watermarks`, as every worker writes it.
"""
