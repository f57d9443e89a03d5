"""Where a request would like to go: prompts' beginnings, sessions, adapters. Pure."""
