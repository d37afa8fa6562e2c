"""What every other part may import, and what imports none of them: settings, errors, the call, a service."""
