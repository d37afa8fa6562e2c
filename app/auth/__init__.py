"""Who calls, and what they may do: tokens, JWT, keys, claims, permissions, and their settings."""
