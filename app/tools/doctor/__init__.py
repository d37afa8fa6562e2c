"""Why a first call fails: `diagnose()` of `steps.py` looks step by step, and says what to type."""
