"""Runs the router as `python -m pointsman_router`."""

from pointsman_router.main import main

main()
