"""Builds the images: `build [--registry=host/path] [name…]`, `archive DIR [name…]`, `list`.

With Docker and a registry, or with buildah and Debian's packages and neither: the Dockerfiles are the same.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from e2e.images.cli import main

main()
