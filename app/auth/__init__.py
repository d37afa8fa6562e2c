"""Authentication and authorization: tokens, JWT, keys, claims, permissions, and their settings."""
