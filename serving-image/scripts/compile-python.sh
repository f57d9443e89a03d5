#!/bin/sh
# Compiles folders to bytecode that is never checked against its source: layers change timestamps, and a
# read-only root would compile everything again at each start. Usage: compile-python.sh PYTHON [FOLDER...]
# With `stdlib` for a folder: the interpreter's own library.
set -eu
python=$1
shift
for folder in "$@"; do
  if [ "$folder" = stdlib ]; then
    folder=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  fi
  # Packages may carry templates and old syntax that don't compile: that mustn't fail the build.
  "$python" -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "$folder" >/dev/null 2>&1 || true
done
