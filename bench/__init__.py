"""How fast Tidings is, always as a ratio to plain reading and decoding in the same run; see README.md."""
