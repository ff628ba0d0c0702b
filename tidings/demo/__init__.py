"""The demo: real purchases of 1997 and 1998 through Kafka, and what a shop wants to know of them afterwards."""
