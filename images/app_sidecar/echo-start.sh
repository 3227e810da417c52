#!/bin/sh
# The echo server as a user of its own, and the sidecar beside it: where one ends, both do.
set -eu

# Not the sidecar's user: what that one sends goes past Envoy.
setpriv --reuid=65534 --regid=65534 --clear-groups -- /usr/local/bin/server "$@" &
server=$!
/usr/local/bin/istio-start.sh &
sidecar=$!

trap 'kill "$server" "$sidecar" 2>/dev/null' TERM INT
while kill -0 "$server" 2>/dev/null && kill -0 "$sidecar" 2>/dev/null; do
  sleep 1 &
  wait $! || true
done
kill "$server" "$sidecar" 2>/dev/null || true
wait
