#!/usr/bin/env bash
# Python environments of the servers that toolkit serve is measured against.
#
#   benchmarks/peers/setup.sh [FOLDER]      default .cache/peers in the repository
#
#   FOLDER/NAME/bin/python      each with its server and onnxruntime, as of requirements.lock
#
# They are apart since they do not agree on the versions of what they share. A second call is for free.
set -euo pipefail

declare -A SERVERS=(
  [litserve]=litserve==0.2.19
  [mlserver]=mlserver==1.7.1
  [bentoml]=bentoml==1.4.40
)

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-$repository/.venv/bin/python}
folder=${1:-$repository/.cache/peers}
mkdir -p "$folder"

exec 9> "$folder/.lock"
flock 9 # two runs at once: the second finds everything done

runtime=$(grep '^onnxruntime==' "$repository/requirements.lock")
for name in "${!SERVERS[@]}"; do
  wanted="${SERVERS[$name]} $runtime"
  [ "$(cat "$folder/$name/.ready" 2> /dev/null)" != "$wanted" ] || continue
  echo "setting up ${SERVERS[$name]} in $folder/$name; this is done once"
  rm -rf "${folder:?}/$name"
  "$python" -m venv "$folder/$name"
  "$folder/$name/bin/python" -m pip install --quiet --disable-pip-version-check \
    "${SERVERS[$name]}" "$runtime"
  printf '%s\n' "$wanted" > "$folder/$name/.ready"
done
