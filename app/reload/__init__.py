"""Files and URLs that are read again when they change."""
