#!/bin/sh
# Makes a virtual environment without pip in it, with exactly what a lock holds.
# Usage: install-locked.sh VENV LOCK
set -eu
. "$(dirname "$0")/build-env.sh"
venv=$1
lock=$2
python3 -m venv /tmp/tools
python3 -m venv --without-pip "$venv"
/tmp/tools/bin/pip --python "$venv/bin/python" install \
  --quiet --disable-pip-version-check --no-cache-dir --no-compile --only-binary :all: --require-hashes -r "$lock"
rm -rf /tmp/tools /root/.cache
