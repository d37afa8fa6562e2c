"""TLS of the server: certificates, reloading credentials, and their settings."""
