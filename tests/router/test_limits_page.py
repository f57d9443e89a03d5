"""The page of limits says what the router's settings say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_is_made_from_the_settings() -> None:
    command = [sys.executable, str(ROOT / "serving-image/limits_page.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
