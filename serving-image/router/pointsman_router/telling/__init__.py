"""What the router tells on its admin port: health, metrics, signals, probes."""
