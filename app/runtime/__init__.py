"""What a serving process needs: ports, pools, health, signals, the drain, the metrics port."""
