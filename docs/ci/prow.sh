#!/bin/sh
# What the Prow jobs of prow.yaml run: a whole release into $ARTIFACTS, which Prow keeps.
#
# It needs no Docker daemon: images are assembled without one and go into the release's layout.
# The checkout may be of another user, as clonerefs leaves it; nobody's git configuration is
# changed for that. Further words go to `release`: `prow.sh --snapshot`.
set -eu

: "${ARTIFACTS:?Prow names the directory that it keeps; elsewhere: ARTIFACTS=/some/dir $0}"
export CI=true
dist=$ARTIFACTS/dist

./inv plan --no-push --no-load --json >"$ARTIFACTS/plan.json"
./inv release "$@" --dist "$dist" --json >"$ARTIFACTS/release.json"
./inv verify "$dist"
