#!/usr/bin/env bash
# Makes the virtual environment that every target of the Makefile uses: the locked packages, by hash, and this
# tree as an editable install. Needs Python 3.11 or newer with its venv module, and a package index; pip's own
# configuration (mirror, proxy, certificates) is honoured.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}

die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# A name on PATH may be a wrapper around nothing, so each is run before it's believed.
new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
    if new_enough "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "No Python 3.11 or newer was found (looked for: ${PYTHON:-python3, python3.11 to python3.14})." \
      "On Debian 12 or Ubuntu 24.04: apt-get install python3 python3-venv. Or name one: make venv PYTHON=/path/to/python3"
}

if ! new_enough "$venv/bin/python"; then
  python=$(find_python)
  echo "venv: making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv" \
    || die "venv: $python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"
fi

echo "venv: installing $(grep -c '^[a-z0-9]' locks/dev.lock) locked packages (about a minute the first time)"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
"${pip[@]}" --require-hashes --requirement locks/dev.lock \
  || die "venv: the locked packages could not be installed. If an index or mirror can't be reached, set it in pip's configuration."
# The build backend is locked above, so nothing is downloaded for this one.
"${pip[@]}" --no-deps --no-build-isolation --editable .
touch "$venv/.made"
echo "venv: ready"
