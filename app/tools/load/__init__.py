"""The command `load`: makes calls at a steady rate, and shows latencies, codes and backends."""
