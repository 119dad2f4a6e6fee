#!/bin/sh
# Install the gateway into a prefix, and nothing else: install.sh PREFIX [providers|full|train]. Run by the Dockerfile and by
# the tests. Needs python3 with venv, pip and, where it is there, strip; all files come from the locks, by hash.
set -eu
prefix=$1
extras=${2:-}
case $extras in
  "") lock=requirements/image.lock ;;
  providers) lock=requirements/image-providers.lock ;;
  full) lock=requirements/image-full.lock ;;
  train) lock=requirements/image-train.lock ;;
  *) echo "extras: providers, full or train, not $extras" >&2; exit 2 ;;
esac
python3 -m venv --without-pip "$prefix"
# `pip --python` acts on another environment, so that the prefix has no pip of its own.
pip="${PIP:-python3 -m pip} --python $prefix/bin/python --disable-pip-version-check --no-cache-dir --quiet"
$pip install --no-deps --require-hashes --only-binary :all: -r "$lock"
# Built apart, so that the build backend leaves nothing in the prefix.
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
${PIP:-python3 -m pip} wheel --disable-pip-version-check --quiet --no-deps --wheel-dir "$wheels" .
$pip install --no-deps "$wheels"/*.whl
find "$prefix" -type d \( -name tests -o -name test \) -path '*site-packages*' -prune -exec rm -rf {} +
# What only compiling against numpy, type checking, and training transformers with onnxruntime would need.
find "$prefix" -path '*site-packages*' -type f \( -name '*.pyi' -o -name '*.h' -o -name '*.a' -o -name '*.pxd' \) -delete
rm -rf "$prefix"/lib/python3*/site-packages/onnxruntime/transformers "$prefix"/lib/python3*/site-packages/onnxruntime/quantization
if command -v strip >/dev/null; then
  # Not the libraries that auditwheel has packed (numpy.libs): strip moves their segments, and they load no more.
  find "$prefix" -name '*.so*' -type f ! -path '*.libs/*' -exec strip --strip-unneeded {} + 2>/dev/null || true
fi
"$prefix/bin/python" -m compileall -q -j 0 "$prefix/lib" || true
