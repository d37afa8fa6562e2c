"""The client library: `from app.client.channel import channel`."""
