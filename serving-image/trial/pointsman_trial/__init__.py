"""The trial of a candidate, before any traffic: asks, judges, and tells in one bounded result.

Stands alone: it gets one document and some URLs, and knows nothing of operators, routers or engines.
"""
