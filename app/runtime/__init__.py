"""What a process needs around its services: ports, pools, health, telemetry, logs, the drain."""
