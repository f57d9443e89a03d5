"""Assertions of the runner are told as fully as a test's own."""

import pytest

pytest.register_assert_rewrite("tests.router.raw.case")
