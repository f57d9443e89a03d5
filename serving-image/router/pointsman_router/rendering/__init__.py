"""Prompts, put before what clients send."""
