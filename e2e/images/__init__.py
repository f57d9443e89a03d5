"""Builds the images of serving-image/, with Docker and a registry or with neither."""
