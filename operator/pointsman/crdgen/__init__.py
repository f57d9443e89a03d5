"""From the types of `pointsman.api` to files: CRDs, the chart's RBAC rules, reference pages.

`python -m pointsman.crdgen` writes them, `--check` says which are stale. Nothing at run time imports this.
"""
