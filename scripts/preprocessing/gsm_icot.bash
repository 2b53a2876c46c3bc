#!/usr/bin/env bash
# GSM8K-Aug, from the hub to data/gsm_{train,valid,test}.json.
# ICOT_FILES=DIR takes DIR/{train,valid,test}.txt instead of a download.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
exec "${PYTHON:-python}" "$here/gsm_icot.py" "$@"
