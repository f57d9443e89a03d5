"""`python -m pointsman_trial` is `pointsman-trial`."""

from pointsman_trial.main import main

if __name__ == "__main__":
    main()
