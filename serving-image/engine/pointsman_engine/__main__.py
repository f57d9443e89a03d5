"""`python -m pointsman_engine` is `pointsman-engine`."""

from pointsman_engine.main import main

if __name__ == "__main__":
    main()
