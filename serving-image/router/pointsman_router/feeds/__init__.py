"""Where configuration and endpoints come from: the API server, or a file."""
