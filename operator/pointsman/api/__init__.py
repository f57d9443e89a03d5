"""What people write: the types of the API, its names, its conditions and the permissions it needs.

Everything here is a value or a table. The CRDs, their documentation and the chart's RBAC are generated
from it (`python -m pointsman.crdgen`). This package imports pydantic and the standard library, nothing of
ours, so that every other part may import it.
"""
