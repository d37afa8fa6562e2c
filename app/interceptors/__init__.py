"""The concerns that every call passes, one file each; `chain` joins them, `arities` runs them."""
