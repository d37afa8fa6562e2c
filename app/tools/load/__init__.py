"""Calls at a steady rate, and what becomes of them: `quoter load`."""
