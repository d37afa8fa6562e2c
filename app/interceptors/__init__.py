"""What every call passes through: one file a concern, `chain` that joins them, `arities` that runs them."""
