#!/bin/sh
# Compiles the venv and the interpreter's own library to bytecode that is never checked against its source:
# layers change timestamps, and a read-only root would compile everything again at each start.
set -eu
venv=$1
stdlib=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
# Packages may carry templates and old syntax that do not compile: that must not fail the build.
"$venv/bin/python" -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "$stdlib" >/dev/null 2>&1 || true
"$venv/bin/python" -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "$venv/lib" >/dev/null 2>&1 || true
