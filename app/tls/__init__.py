"""TLS of the server: certificates, credentials that reload, and their settings."""
