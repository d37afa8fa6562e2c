"""Files and URLs that are reloaded when their content changes."""
