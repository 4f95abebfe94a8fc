#!/usr/bin/env bash
# The exact commands that made hard/bundles/default, over an hour on two cores: a cross-validation of the recipe, a model
# of all subjects that takes its figures over. Needs `pip install -c constraints.txt -e '.[train]'`.
# Usage: scripts/default_model.sh [RECORDINGS [BUNDLE]]; without arguments as in the card of the bundle.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
case "${1:-}" in -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;; esac

recordings=${1:-../shared/data/motionsense/motionsense_50hz_raw.txt.xz}
bundle=${2:-hard/bundles/default}
python scripts/finetune.py "$recordings" --out cross-validation --folds 6 --jobs 2 --threads 1
python scripts/finetune.py "$recordings" --out "$bundle" --name hard-default --refit \
  --cross-validation cross-validation --threads 1
