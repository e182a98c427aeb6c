"""The HTTP API: a view of `Assistant.run`'s events, kept as resources. No torch is imported in this process."""
