#!/usr/bin/env bash
# The exact commands of the default model: cross-validations of the recipe, by subject and with each data set, place and
# activity left out, then a model of all people that takes their figures over. Called again after an interruption, it
# goes on where it was. Needs `pip install -c constraints.txt -e '.[train]'`.
# Usage: scripts/default_model.sh [RECORDINGS [BUNDLE [OPTION…]]]; RECORDINGS is a folder with `motionsense` and `places`
# (../shared/data), options go to every training. FOLDS lists the cross-validations, JOBS is how many folds run at once,
# REPORTS is the folder of their reports. With HOLDOUT, a list of people, there are no cross-validations, which take
# hours: the model learns from the others and is judged by these.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,9s/^# //p' "$0"; exit 0 ;; esac

cd "$(dirname "$(readlink -f "$0")")/.."
recordings=${1:-../shared/data} bundle=${2:-hard/bundles/default}
options=(
  --unit places=mm/s2 --dataset motionsense=motionsense --place "motionsense=front pocket"
  --labels "Upstairs|Downstairs=Stairs" --drop "Lying,Cycling"
  --hop 2 --copies 3 --epochs 6 --epoch-windows 110000 --threads 1 "${@:3}"
)

train() {
  local out=$1 resume=()
  if [ -e "$out.work" ] || [ -e "$out/folds" ]; then resume=(--resume); fi
  python scripts/finetune.py "$recordings" --out "$out" "${options[@]}" "${@:2}" "${resume[@]}"
}

if [ -n "${HOLDOUT:-}" ]; then
  train "$bundle" --name hard-default --holdout "$HOLDOUT" --no-baselines
  exit
fi
reports=()
for folds in ${FOLDS:-6 dataset place activity}; do
  reports+=("${REPORTS:-cross-validation}/$folds")
  train "${reports[-1]}" --folds "$folds" --jobs "${JOBS:-2}"
done
train "$bundle" --name hard-default --refit --cross-validation "${reports[@]}"
