"""The runtime of a server process: ports, pools, health, signals, the drain, the metrics port."""
