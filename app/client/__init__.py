"""An importable client: `from app.client.channel import channel`."""
