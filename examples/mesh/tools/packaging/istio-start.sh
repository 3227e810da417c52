#!/bin/sh
# Starts the sidecar as its own user; arguments are added to those of `pilot-agent proxy`.
set -eu

settings=${SIDECAR_ENV:-/etc/istio/sidecar.env}
if [ -r "$settings" ]; then
  set -a
  # shellcheck disable=SC1090
  . "$settings"
  set +a
fi

# AGENT_FLAGS holds several words.
# shellcheck disable=SC2086
set -- /usr/local/bin/pilot-agent proxy \
  --discovery-address "${DISCOVERY_ADDRESS:-istiod:15010}" \
  --node-id "${NODE_ID:-$(hostname)}" --cluster "${SERVICE_CLUSTER:-sidecar}" \
  ${AGENT_FLAGS:-} "$@"

if [ "$(id -u)" -eq 0 ]; then
  # sudo would stay in front, and some of its releases pass no signals on.
  HOME=/var/lib/istio
  export HOME
  exec setpriv --reuid="$(id -u istio-proxy)" --regid="$(id -g istio-proxy)" --init-groups -- "$@"
fi
exec "$@"
