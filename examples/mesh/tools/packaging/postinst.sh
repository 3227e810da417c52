#!/bin/sh
# After the files are there, on Debian's and on RPM's systems: the user, and what is his.
set -e

if ! getent group istio-proxy >/dev/null; then
  groupadd --system istio-proxy
fi
if ! getent passwd istio-proxy >/dev/null; then
  useradd --system --gid istio-proxy --home-dir /var/lib/istio --no-create-home \
    --shell /usr/sbin/nologin istio-proxy
fi

if [ ! -e /var/lib/istio/config/mesh ]; then
  : >/var/lib/istio/config/mesh
fi
chown istio-proxy:istio-proxy /etc/certs /var/log/istio /var/lib/istio/envoy \
  /var/lib/istio/config /var/lib/istio/config/mesh /var/lib/istio/proxy

# Rules of iptables tell the proxy's own traffic by its group, whoever starts it.
chgrp istio-proxy /usr/local/bin/envoy /usr/local/bin/pilot-agent
chmod 2755 /usr/local/bin/envoy /usr/local/bin/pilot-agent
