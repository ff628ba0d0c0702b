"""The words of Tidings: events, definitions, customer state, sends, decisions and topics, as values.

Nothing in here acts. The room knows no other room, no clock and no network.
"""
