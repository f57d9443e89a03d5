"""`make truth`: whether Ready=True can be relied upon, over hundreds of cycles on a real node."""
