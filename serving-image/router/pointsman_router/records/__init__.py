"""What is written down of requests: counters and the access log."""
