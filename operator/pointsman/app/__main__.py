"""`python -m pointsman.app`."""

import sys

from pointsman.app.main import main

sys.exit(main())
