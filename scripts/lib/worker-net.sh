# Sourced by launch-workers.sh and worker-boot.sh. The network of the workers of one launch, which $NETWORK names:
#
#   host     the host's own; worker N is 127.X.Y.N
#   routed   a namespace of its own with a link to the host: the host is 10.X.Y.254, worker N is 10.X.Y.N
#   nat      the same behind a firewall: inside it has an address that nobody outside knows, what goes out is masqueraded as 10.X.Y.N, and
#            what comes in is dropped unless it belongs to a connection that went out
#
# A link and its rules vanish with the last process of the worker: nothing of them is the host's but the other end of the link.
# shellcheck shell=bash

INSIDE=192.168.0.2

# Where the host finds a worker (ADDRESS), where its sshd listens (LISTEN), and what the host's end of its link is called (LINK).
place_worker() {
  ADDRESS=$SUBNET.${1#worker-}
  LISTEN=$ADDRESS LINK=''
  if [[ $NETWORK == nat ]]; then LISTEN=$INSIDE; fi
  if [[ $NETWORK != host ]]; then LINK=ow${ADDRESS#10.} LINK=${LINK//./-}; fi
}

# The host as a worker sees it.
host_address() { if [[ $NETWORK == host ]]; then echo 127.0.0.1; else echo "$SUBNET.254"; fi; }

# Run by the first process of a worker, in its new namespaces. Its argument is a descriptor of the host's network.
link_worker() {
  local host
  host=$(host_address)
  nsenter "--net=/proc/self/fd/$1" bash -euc '
    ip link del dev "$1" 2>/dev/null || :
    ip link add dev "$1" type veth peer name eth0 netns 1
    ip addr add "$2" peer "$3" dev "$1"
    ip link set dev "$1" up' link "$LINK" "$host" "$ADDRESS"
  ip link set dev lo up
  ip addr add "$ADDRESS" peer "$host" dev eth0
  ip link set dev eth0 up
  if [[ $NETWORK == nat ]]; then
    ip addr add "$INSIDE/32" dev lo
    ip route replace "$host" dev eth0 src "$INSIDE"
    iptables -w -t nat -A POSTROUTING -o eth0 -j MASQUERADE
    iptables -w -A INPUT -i eth0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    iptables -w -A INPUT -i eth0 -j DROP
  fi
  ip route add default via "$host" dev eth0 src "$LISTEN"
}

# The kernel does it by itself when the namespace is gone, but takes its time.
unlink_worker() {
  place_worker "$1"
  if [[ -n $LINK && -e /sys/class/net/$LINK ]]; then ip link del dev "$LINK" 2>/dev/null || :; fi
}

# A partition: what goes that way is dropped without a word. The table is the cuts' alone, so mending is emptying it.
cut_worker() {
  mend_worker "$1"
  if [[ $2 != out ]]; then in_network_of "$1" iptables -w -t mangle -A PREROUTING -i eth0 -j DROP; fi
  if [[ $2 != in ]]; then in_network_of "$1" iptables -w -t mangle -A POSTROUTING -o eth0 -j DROP; fi
}

mend_worker() { in_network_of "$1" iptables -w -t mangle -F; }

in_network_of() {
  [[ $NETWORK != host ]] || die "$1 is in the host's own network"
  find_init "$1" || die "$1 does not run"
  nsenter -t "$PID" -n "${@:2}"
}
