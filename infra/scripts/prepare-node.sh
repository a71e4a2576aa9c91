#!/usr/bin/env bash
# Prepare a node of a pool without containers: install Python, unixODBC and this package. Safe to repeat.
set -euo pipefail
package=${AZ_BATCH_APP_PACKAGE_sensorwatch:?expected the folder of the application package: add the package sensorwatch to the pool}
home=/opt/sensorwatch
if [ "$(cat "$home/.installed-from" 2>/dev/null || true)" = "$package" ]; then
    exit 0
fi
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv unixodbc libgssapi-krb5-2
python3 -m venv "$home"
"$home/bin/pip" install --quiet -c "$package/infra/constraints.txt" \
    -r "$package/requirements.txt" -r "$package/requirements-onnx.txt" mssql-python-odbc
"$home/bin/pip" install --quiet --no-deps --force-reinstall "$package"
# The command lines of tasks begin with `python -m`.
ln -sf "$home/bin/python" /usr/local/bin/python
echo "$package" > "$home/.installed-from"
