"""What is written down of every request once it is over: counts, costs, the log, and decisions that are remembered."""
