"""Memory: the customers of a partition, bytes in and typed out, and the index of who is due when."""
