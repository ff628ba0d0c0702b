"""Who acts: each agent reads a topic, asks the rules, publishes and remembers."""
