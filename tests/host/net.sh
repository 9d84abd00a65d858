#!/bin/bash
# Gives zones every kind of net on a host of which nothing else is known, sends traffic, and looks at what is left.
#
#   net.sh PROGRAMS [ARCHIVE]
#
# PROGRAMS is the folder of the programs, ARCHIVE a root with systemd in it, in a tar. The zones and the rules are the
# host's own, so this belongs into a virtual machine that is thrown away. Nothing is sent to the outside: what zones reach
# is a network namespace, "outside", behind the links up0 (routers and addresses), lan0 (an Ethernet network of zones) and
# tr0 (a trunk of VLANs). A network card that is free, without addresses, is moved into a zone.
# Needs jq, socat, nft, ping, procps; tcpdump, dnsmasq, wg, iptables, ufw and firewall-cmd where they are there.
set -u
. "$(dirname "$0")/common.sh"
PATH=$1:$PATH:/usr/sbin:/sbin
archive=${2:-}
work=$(mktemp -d)
pids=()
here() { command -v "$1" >/dev/null; }
outside() { ip netns exec outside "$@"; }
quietly() { local said; said=$("$@" 2>&1) || { local rc=$?; echo "$said"; return $rc; }; } # what it prints only if it fails
reaches() { quietly zlogin "$1" ping -c2 -W5 -q "$2"; } # ZONE ADDRESS
cut_off() { zlogin "$1" true && ! zlogin "$1" ping -c1 -W2 -q "$2" >/dev/null; }
# sniffs FILE ADDRESS COMMAND...: what tcpdump, started by COMMAND, sees of two pings from zone $from to ADDRESS
sniffs() {
    local file=$1 to=$2; shift 2
    timeout 60 "$@" -lne -c2 icmp > "$file" 2> "$file.err" </dev/null & local pid=$!
    until_is 20 1 grep -c 'listening on' "$file.err" >/dev/null
    reaches "$from" "$to" >/dev/null; wait "$pid"
}
background() { "$@" </dev/null >/dev/null 2>&1 & pids+=($!); }
address() { # ZONE FAMILY [LINK]: its first address there, not a link-local one
    zlogin "$1" ip -j "-$2" address show dev "${3:-eth0}" scope global | jq -r '[.[].addr_info[]?|select(.local)][0].local'
}
boots() { # ZONE: what is said at its boot, if it boots
    zoneadm -z "$1" boot && [ "$(state "$1")" = running ]
}
make() { # ZONE CONFIGURATION...
    local zone=$1; shift
    zonecfg -z "$zone" "create; set brand=sparse; $*" && zoneadm -z "$zone" install && zoneadm -z "$zone" verify
}
remove() { # ZONE...
    local zone
    for zone; do
        case $(state "$zone") in running | ready) ok "halt $zone" zoneadm -z "$zone" halt;; esac
        ok "uninstall $zone" quietly zoneadm -z "$zone" uninstall -F
        ok "delete $zone" zonecfg -z "$zone" delete -F
    done
}
serve() { # ZONE PORT: a server in the zone that says who has connected, on both families
    background zlogin "$1" socat "TCP6-LISTEN:$2,fork,reuseaddr,ipv6only=0" 'SYSTEM:echo "zone saw $SOCAT_PEERADDR"'
    until_is 20 yes sh -c "zlogin $1 sh -c 'grep -qi \":$(printf %04X "$2") \" /proc/net/tcp6' && echo yes" >/dev/null
}
# What socat says of an IPv4 address on a socket of both families: c633:6401 is 198.51.100.1.
asks() { socat -T10 -u "TCP:$1,connect-timeout=8" -; } # ADDRESS:PORT
cleanup() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    mountpoint -q /etc/resolv.conf && umount /etc/resolv.conf
    wait "${pids[@]}" 2>/dev/null
    ip netns del outside 2>/dev/null && [ -z "$had_netns" ] && umount /run/netns
    for link in up0 lan0 lan0.200 tr0 br0 br1 ph0; do ip link del "$link" 2>/dev/null; done
    rm -rf "$work"
}

the_host
had_netns=$(awk '$5 == "/run/netns"' /proc/self/mountinfo)
trap cleanup EXIT

title "The outside"
ok "a network namespace" ip netns add outside
for pair in up lan tr; do
    ip link add "${pair}0" type veth peer name "${pair}1" netns outside
    ip link set "${pair}0" up; outside ip link set "${pair}1" up
done
outside ip link set lo up
# It says of each address only there where it is.
outside sysctl -qw net.ipv4.conf.all.arp_ignore=1
ip address add 198.51.100.1/24 dev up0; ip address add 2001:db8:1::1/64 dev up0 nodad
outside ip address add 198.51.100.2/24 dev up1; outside ip address add 2001:db8:1::2/64 dev up1 nodad
outside ip route add default via 198.51.100.1; outside ip route add default via 2001:db8:1::1
outside ip address add 203.0.113.1/24 dev lan1; outside ip address add 2001:db8:2::1/64 dev lan1 nodad
background outside socat TCP6-LISTEN:80,fork,reuseaddr,ipv6only=0 'SYSTEM:echo "outside saw $SOCAT_PEERADDR"'
if here dnsmasq; then
    background outside dnsmasq --no-daemon --no-resolv --no-hosts --conf-file=/dev/null --pid-file= \
        --address=/server.test/198.51.100.2 --bind-interfaces --listen-address=198.51.100.2
    echo 'nameserver 198.51.100.2' > "$work/resolv.conf"
    mount --bind "$work/resolv.conf" /etc/resolv.conf
fi
has "the host reaches it" 'outside saw .*c633:6401' asks 198.51.100.2:80,retry=20

managed() {
title "The managed network"
# A kernel that has it built in begins with it.
[ ! -d /proc/sys/net/bridge ] || sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0
ok "web" make web 'add net; end; add port; set host=8080; set to=80; end; add port; set host=5300-5302; set to=5300; set protocol=udp; end'
ok "boot" boots web
web4=$(address web 4) web6=$(address web 6)
echo "web: $web4 $web6"
ok "the host reaches it" quietly ping -c1 -W5 -q "$web4"
ok "the host reaches it by IPv6" quietly ping -c1 -W5 -q "$web6"
router=$(zlogin web ip -j route show default | jq -r '.[0].gateway')
ok "it reaches the host" reaches web "$router"
ok "it reaches the outside" reaches web 198.51.100.2
ok "it reaches the outside by IPv6" reaches web 2001:db8:1::2
has "with the host's address" 'outside saw .*c633:6401' zlogin web socat -T10 -u TCP:198.51.100.2:80 -
has "with the host's address by IPv6" 'outside saw \[2001:0*db8:0*1:.*0*1\]' zlogin web socat -T10 -u 'TCP:[2001:db8:1::2]:80' -
no "nobody gets in but by a port" '100% packet loss' outside ping -c1 -W2 "$web4"
no "nor by IPv6" '100% packet loss' outside ping -c1 -W2 "$web6"
if here dnsmasq; then
    has "names resolve" '^198\.51\.100\.2 ' zlogin web getent hosts server.test
    has "its resolv.conf" '^nameserver 198\.51\.100\.2' zlogin web cat /etc/resolv.conf
else skip "names: no dnsmasq"; fi
no "a port that is taken" 'port tcp 8080 of the host is already that of zone web' make other 'add net; end; add port; set host=8080; set to=80; end'
ok "then without it" zonecfg -z other 'remove port host=8080'
ok "other" zoneadm -z other install
ok "boots" boots other
other4=$(address other 4) other6=$(address other 6)
ok "zones reach each other" reaches other "$web4"
ok "by IPv6 as well" reaches other "$web6"
ok "a server in web" serve web 80
ports "as the kernel comes"
if modprobe br_netfilter 2>/dev/null || [ -d /proc/sys/net/bridge ]; then
    ok "frames of bridges go through the rules for packets" sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1
    ports "with br_netfilter"
    ok "zones reach each other" reaches other "$web4"
    ok "by IPv6 as well" reaches other "$web6"
    frames "with br_netfilter"
    ok "and without again" sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0
    modprobe -r br_netfilter 2>/dev/null
else skip "br_netfilter: not in this kernel"; fi
frames "as the kernel comes"
ok "without link protection" zonecfg -z other 'select net physical=eth0; set link-protection=none; end'
ok "reboot" zoneadm -z other reboot
frames "without link protection" unguarded
zlogin web ip neighbour flush dev eth0 # it believed who was not the router
ok "with link protection again" zonecfg -z other 'select net physical=eth0; clear link-protection; end'
ok "reboot" zoneadm -z other reboot
has "udp by a range" 'is it you' udp 5302
first=$(field web .pid)
# Without zsched nobody brings back one that has left.
d=$(daemon web); ok "kill -9 of zsched" die "$(field web .zsched.pid)"
ok "kill -9 of zoneadmd" die "$d"
has "boot says that it is booted" 'already booted' zoneadm -z web boot
is "the same first process" "$first" field web .pid
ok "it reaches the outside" reaches web 198.51.100.2
has "its port leads to it" 'zone saw' outside socat -T10 -u TCP:198.51.100.1:8080 -
before=$(field web .uniqid); zlogin web reboot
ok "reboot from inside" until_is 60 yes bash -c "[ \"\$(zoneadm -z web list -v --json | jq -r '.[0]|.state+\" \"+(.uniqid==\"$before\"|tostring)')\" = 'running false' ] && echo yes"
is "the same address" "$web4" address web 4
ok "it reaches the outside" reaches web 198.51.100.2
remove web other
is "the bridge has gone" "" sh -c 'ip -o link show type bridge'
is "its rules have gone" "" nft list ruleset
}

udp() { # PORT: from outside, by the host's port
    zlogin web timeout 15 socat -u "UDP-LISTEN:$1" - > "$work/udp" </dev/null & local pid=$!
    sleep 3; echo 'is it you' | outside socat -u - "UDP:198.51.100.1:$1"
    wait "$pid"; cat "$work/udp"
}

ports() { # WHEN
    has "a port from outside, $1" 'zone saw .*c633:6402' outside socat -T10 -u TCP:198.51.100.1:8080 -
    has "by IPv6, $1" 'zone saw \[2001:' outside socat -T10 -u 'TCP:[2001:db8:1::1]:8080' -
    has "from the host's loopback, $1" 'zone saw' asks 127.0.0.1:8080
    if [ "$(cat /proc/sys/net/bridge/bridge-nf-call-ip6tables 2>/dev/null)" = 1 ]; then
        skip "by IPv6, $1: the kernel takes nothing to ::1 from a bridge whose frames go through the rules"
    else has "by IPv6, $1" 'zone saw' asks '[::1]:8080'; fi
    has "from the host by its address, $1" 'zone saw' asks 198.51.100.1:8080
    has "from another zone, $1" 'zone saw' zlogin other socat -T10 -u TCP:198.51.100.1:8080,connect-timeout=8 -
    has "by IPv6, $1" 'zone saw' zlogin other socat -T10 -u 'TCP:[2001:db8:1::1]:8080,connect-timeout=8' -
    has "from itself, $1" 'zone saw' zlogin web socat -T10 -u TCP:198.51.100.1:8080,connect-timeout=8 -
    has "by IPv6, $1" 'zone saw' zlogin web socat -T10 -u 'TCP:[2001:db8:1::1]:8080,connect-timeout=8' -
}

# Frames, in hexadecimal.
hex_mac() { tr -d : <<<"$1"; }
hex_ip4() { local IFS=.; printf '%02x%02x%02x%02x' $1; }
hex_text() { od -An -v -tx1 <<<"$1" | tr -d ' \n'; }
hex_udp() { printf '%04x%04x%04x0000%s' "$1" "$2" $((8 + ${#3} / 2)) "$3"; } # FROM TO PAYLOAD
hex_v4() { # SOURCE PROTOCOL PAYLOAD: to all
    local head sum=0 at
    head=$(printf '4500%04x0000000040%02x0000%sffffffff' $((20 + ${#3} / 2)) "$2" "$(hex_ip4 "$1")")
    for ((at = 0; at < 40; at += 4)); do sum=$((sum + 0x${head:at:4})); done
    while [ $((sum >> 16)) -gt 0 ]; do sum=$(((sum & 0xffff) + (sum >> 16))); done
    printf '%s%04x%s%s' "${head:0:20}" $((~sum & 0xffff)) "${head:24}" "$3"
}
hex_v6() { # SOURCE-IN-HEX NEXT PAYLOAD: to all nodes
    printf '60000000%04x%02xff%sff020000000000000000000000000001%s' $((${#3} / 2)) "$2" "$1" "$3"
}
send() { sed 's/../\\x&/g' <<<"$1" | { IFS= read -r bytes; printf "$bytes"; } | timeout 10 zlogin other socat -u - INTERFACE:eth0; } # HEX
# frames WHEN [UNGUARDED]: of raw frames that `other` sends, only honest ones come to the host and to `web`; all of them if
# it is not guarded, which shows that the others are kept by that.
frames() {
    local own mac o4=$other4 all=ffffffffffff fake=02aabbccddee v6fake=20010db8000900000000000000000009 name frame
    own=$(zlogin other cat /sys/class/net/eth0/address); mac=$(hex_mac "$own")
    zlogin web timeout 100 socat -u INTERFACE:eth0 - > "$work/web" </dev/null & local one=$!
    timeout 100 socat -u INTERFACE:zones0 - > "$work/host" </dev/null & local two=$!
    sleep 2
    while read -r name frame; do
        send "$frame"
    done < <(
        echo "HONEST $all$mac"0800"$(hex_v4 "$o4" 17 "$(hex_udp 9 9 "$(hex_text HONEST)")")"
        echo "FORGED-mac $all$fake"0800"$(hex_v4 "$o4" 17 "$(hex_udp 9 9 "$(hex_text FORGED-mac)")")"
        echo "FORGED-ip4 $all$mac"0800"$(hex_v4 198.51.100.2 17 "$(hex_udp 9 9 "$(hex_text FORGED-ip4)")")"
        echo "FORGED-ip6 333300000001$mac"86dd"$(hex_v6 $v6fake 17 "$(hex_udp 9 9 "$(hex_text FORGED-ip6)")")"
        echo "FORGED-arp $all$mac"08060001080006040002"$mac$(hex_ip4 "$router")$all$(hex_ip4 "$web4")$(hex_text FORGED-arp)"
        echo "FORGED-arp-mac $all$mac"08060001080006040002"$fake$(hex_ip4 "$o4")$all$(hex_ip4 "$web4")$(hex_text FORGED-arp-mac)"
        echo "FORGED-dhcp $all$mac"0800"$(hex_v4 "$o4" 17 "$(hex_udp 67 68 "$(hex_text FORGED-dhcp)")")"
        echo "FORGED-vlan $all$mac"8100000a0800"$(hex_v4 "$o4" 17 "$(hex_udp 9 9 "$(hex_text FORGED-vlan)")")"
        echo "FORGED-kind $all$mac"88b5"$(hex_text FORGED-kind)"
        echo "FORGED-ra 333300000001$mac"86dd"$(hex_v6 "$(hex_linklocal "$own")" 58 "86000000400000000000000000000000$(hex_text FORGED-ra)")"
        echo "FORGED-na 333300000001$mac"86dd"$(hex_v6 "$(hex_linklocal "$own")" 58 "88000000a0000000${v6fake}0201$mac$(hex_text FORGED-na)")"
        echo "HONEST-last $all$mac"0800"$(hex_v4 "$o4" 17 "$(hex_udp 9 9 "$(hex_text HONEST-last)")")"
    )
    sleep 2; kill "$one" "$two" 2>/dev/null; wait "$one" "$two" 2>/dev/null
    has "honest frames come to web, $1" 'HONEST-last' grep -ao 'HONEST-last' "$work/web"
    has "and to the host, $1" 'HONEST-last' grep -ao 'HONEST-last' "$work/host"
    if [ -n "${2:-}" ]; then
        is "forged frames come to web, $1" 10 sh -c "grep -aoE 'FORGED-[a-z0-9-]+' $work/web | sort -u | wc -l"
        is "and to the host, $1" 10 sh -c "grep -aoE 'FORGED-[a-z0-9-]+' $work/host | sort -u | wc -l"
        return
    fi
    is "no forged frame comes to web, $1" "" grep -aoE 'FORGED-[a-z0-9-]+' "$work/web"
    is "nor to the host, $1" "" grep -aoE 'FORGED-[a-z0-9-]+' "$work/host"
}
hex_linklocal() { # MAC: the link-local address that follows from it
    local IFS=: bytes; read -ra bytes <<<"$1"
    printf 'fe80000000000000%02x%s%sfffe%s%s%s' $((0x${bytes[0]} ^ 2)) "${bytes[1]}" "${bytes[2]}" "${bytes[3]}" "${bytes[4]}" "${bytes[5]}"
}

pair() { # two zones of the managed network, web with a port
    ok "web" make web 'add net; end; add port; set host=8080; set to=80; end'
    ok "other" make other 'add net; end'
    ok "boot" boots web; ok "boot" boots other
}
# advised WHOSE: web boots with a sentence, is cut off, and what the sentence says lets it through
advised() {
    local said line
    ok "$1: halt" zoneadm -z web halt
    said=$(zoneadm -z web boot 2>&1)
    has "$1: the boot names it" "drops packets to(, from and between| and from) zones of zones0" echo "$said"
    # Not ping: ufw lets that through.
    no "$1: it stops zones" . zlogin web socat -T5 -u TCP:198.51.100.2:80,connect-timeout=5 -
    while read -r line; do ok "$1: $line" bash -c "$line"; done < <(grep -o "; '.*' lets" <<<"$said" | sed "s/^; '//; s/' lets\$//")
    ok "$1: then traffic flows" reaches web 198.51.100.2
    has "$1: by TCP as well" 'outside saw' zlogin web socat -T10 -u TCP:198.51.100.2:80,connect-timeout=8 -
    ok "$1: a server in web" serve web 80
    has "$1: and in by a port" 'zone saw' outside socat -T10 -u TCP:198.51.100.1:8080,connect-timeout=8 -
}
policies() {
title "Others' rules"
    pair
    ok "nftables, by hand" nft 'add table inet mine; add chain inet mine through { type filter hook forward priority 0; policy drop; }'
    advised "nftables"
    nft delete table inet mine
    if here iptables-nft; then
        iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP
        advised "iptables"
        iptables-nft -P FORWARD ACCEPT; ip6tables-nft -P FORWARD ACCEPT
        nft delete table ip filter; nft delete table ip6 filter
    else skip "iptables: not here"; fi
    if here ufw; then
        ok "ufw: enable" ufw --force enable
        advised "ufw"
        ufw --force reset >/dev/null 2>&1; ufw disable >/dev/null 2>&1
        nft flush ruleset; rm -f /etc/ufw/*.rules.[0-9]*
        ok "halt" zoneadm -z web halt; ok "halt" zoneadm -z other halt
        ok "boot" boots web; ok "boot" boots other
    else skip "ufw: not here"; fi
    if here firewall-cmd && systemctl start firewalld; then
        # It is up before its rules are.
        ok "firewalld: has its rules" until_is 300 1 sh -c "nft list chain inet firewalld filter_FORWARD | grep -c 'hook forward'"
        advised "firewalld"
        systemctl stop firewalld
        nft delete table inet firewalld 2>/dev/null
    else skip "firewalld: not here"; fi
    # Docker drops what the host forwards only if it was Docker who had it forward.
    if here dockerd && sysctl -qw net.ipv4.ip_forward=0 && systemctl start docker; then
        ok "Docker: has its rules" until_is 60 1 sh -c "iptables-nft -S DOCKER-USER | grep -c RETURN"
        advised "Docker"
        ok "Docker: zones reach each other" reaches other "$(address web 4)"
        systemctl stop docker.socket docker containerd
        ip link del docker0 2>/dev/null
        # What Docker has changed: its rules would stay, and ours go with them.
        ok "halt" zoneadm -z web halt; ok "halt" zoneadm -z other halt
        nft flush ruleset; modprobe -r br_netfilter
        ok "boot" boots web; ok "boot" boots other
    else skip "Docker: not here"; fi
    remove web other
}

tunnel() {
title "wireguard in an exclusive zone"
    if ! modprobe wireguard 2>/dev/null; then skip "wireguard: not in this kernel"; return; fi
    local zone
    pair
    for zone in web other; do ok "$zone's root makes a link" zlogin "$zone" ip link add wg0 type wireguard; done
    if here wg; then
        zlogin web sh -c 'umask 077; wg genkey > /root/k; wg set wg0 listen-port 51820 private-key /root/k; ip address add 10.9.9.1/24 dev wg0; ip link set wg0 up'
        zlogin other sh -c 'umask 077; wg genkey > /root/k; wg set wg0 listen-port 51820 private-key /root/k; ip address add 10.9.9.2/24 dev wg0; ip link set wg0 up'
        zlogin web wg set wg0 peer "$(zlogin other wg show wg0 public-key)" allowed-ips 10.9.9.2/32 endpoint "$(address other 4):51820"
        zlogin other wg set wg0 peer "$(zlogin web wg show wg0 public-key)" allowed-ips 10.9.9.1/32
        ok "they reach each other through it" reaches web 10.9.9.2
    else skip "a tunnel: no wg"; fi
    ok "its own rules" zlogin web nft 'add table ip own; add chain ip own input { type filter hook input priority 0; }'
    is "are not the host's" "" sh -c 'nft list tables | grep own'
    remove web other
}

shared() {
title "A shared zone"
ok "make" make calm 'set ip-type=shared; add net; end'
ok "boot" boots calm
ok "it reaches the outside" reaches calm 198.51.100.2
no "no address" 'not permitted' zlogin calm ip address add 192.0.2.1/32 dev eth0
no "no route" 'not permitted' zlogin calm ip route add 192.0.2.0/24 dev eth0
no "no link" 'not permitted' zlogin calm ip link add dummy9 type dummy
no "not down" 'not permitted' zlogin calm ip link set eth0 down
no "no rule" 'not permitted' zlogin calm nft add table ip own
no "no setting" '[Rr]ead-only|denied|not permitted' zlogin calm sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
no "no packet socket" 'not permitted' sh -c 'echo x | zlogin calm socat -u - INTERFACE:eth0'
no "no raw socket" 'not permitted' sh -c 'echo x | zlogin calm socat -u - IP4-SENDTO:198.51.100.2:253'
no "no wireguard" 'not permitted' zlogin calm ip link add wg0 type wireguard
remove calm
}

# The host's links of VLANs that zones share.
vlan_links() { ip -d -j link show type vlan | jq -r '.[]|select(.ifname|startswith("zv"))|.ifname'; }

ipvlan() {
title "ipvlan and macvlan"
if ! ip link add probe0 link lan0 type ipvlan 2>/dev/null; then skip "ipvlan: not in this kernel"; return; fi
ip link del probe0
local mode
no "no link protection there" 'link-protection.*cannot be had there' zonecfg -z v1 'create; set brand=sparse; add net; set physical=eth0; set global-nic=lan0; set mode=ipvlan; set address=203.0.113.11/24; set link-protection=mac-nospoof; end; verify; commit'
zonecfg -z v1 delete -F 2>/dev/null
for mode in ipvlan macvlan; do
    ok "v1, $mode" make v1 "add net; set physical=eth0; set global-nic=lan0; set mode=$mode; set address=203.0.113.11/24,2001:db8:2::11/64; set defrouter=203.0.113.1; end"
    no "an address without a prefix" '203\.0\.113\.12/LENGTH' make v2 "add net; set physical=eth0; set global-nic=lan0; set mode=$mode; set address=203.0.113.12; end"
    ok "v2, $mode" zonecfg -z v2 'select net physical=eth0; set address=203.0.113.12/24; end'
    ok "install" zoneadm -z v2 install
    ok "boot" boots v1; ok "boot" boots v2
    is "what it is" "$mode" sh -c "zlogin v1 ip -d -j link show dev eth0 | jq -r '.[0].linkinfo.info_kind'"
    ok "they reach each other" reaches v1 203.0.113.12
    ok "and the outside" reaches v1 203.0.113.1
    ok "and by IPv6" reaches v1 2001:db8:2::1
    ok "reboot" zoneadm -z v1 reboot
    ok "they reach each other" reaches v1 203.0.113.12
    before=$(field v1 .uniqid)
    ok "another address" zonecfg -z v1 'select net physical=eth0; set address=203.0.113.13/24; end'
    ok "while it runs" zoneadm -z v1 apply
    ok "reaches the outside" reaches v1 203.0.113.1
    ok "none at all" zonecfg -z v1 'remove net'
    ok "while it runs" zoneadm -z v1 apply
    no "it has gone" 'does not exist' zlogin v1 ip link show dev eth0
    ok "and again" zonecfg -z v1 "add net; set physical=lan; set global-nic=lan0; set mode=$mode; set address=203.0.113.11/24; end"
    ok "while it runs" zoneadm -z v1 apply
    is "what it is" "$mode" sh -c "zlogin v1 ip -d -j link show dev lan | jq -r '.[0].linkinfo.info_kind'"
    ok "they reach each other" reaches v1 203.0.113.12
    is "in the same zone" "$before" field v1 .uniqid
    remove v1 v2
done
}

vlan() {
title "VLANs on an Ethernet link"
if ! outside ip link add link lan1 name lan1.100 type vlan id 100 2>/dev/null; then skip "VLAN links: not in this kernel"; return; fi
outside ip address add 203.0.114.1/24 dev lan1.100; outside ip link set lan1.100 up
outside ip link add link lan1 name lan1.200 type vlan id 200; outside ip address add 203.0.115.1/24 dev lan1.200; outside ip link set lan1.200 up
local mode made
for mode in macvlan ipvlan; do
    if [ $mode = ipvlan ] && ! { ip link add probe0 link lan0 type ipvlan && ip link del probe0; } 2>/dev/null; then continue; fi
    ok "v1, $mode" make v1 "add net; set physical=eth0; set global-nic=lan0; set mode=$mode; set vlan-id=100; set address=203.0.114.11/24; end"
    ok "v2, $mode" make v2 "add net; set physical=eth0; set global-nic=lan0; set mode=$mode; set vlan-id=100; set address=203.0.114.12/24; end"
    ok "boot" boots v1
    made=$(vlan_links)
    is "a link of the VLAN" "zv$(printf %x "$(cat /sys/class/net/lan0/ifindex)").64" vlan_links
    is "used by" 1 sh -c "ip -j link show dev $made | jq '.[0].altnames|length'"
    is "up, without an address of its own" "" sh -c "ip -o address show dev $made"
    ok "boot" boots v2
    is "the same link" "$made" vlan_links
    is "used by" 2 sh -c "ip -j link show dev $made | jq '.[0].altnames|length'"
    ok "tagged on the outside" reaches v1 203.0.114.1
    if here tcpdump; then
        from=v1 sniffs "$work/tagged" 203.0.114.1 ip netns exec outside tcpdump -i lan1
        has "and seen so" 'vlan 100' cat "$work/tagged"
    fi
    ok "they reach each other" reaches v1 203.0.114.12
    zlogin v1 ip route add 203.0.113.0/24 dev eth0
    ok "nothing of it without a tag" cut_off v1 203.0.113.1
    # Without zsched nobody brings back one that has left.
    d=$(daemon v1); ok "kill -9 of zsched" die "$(field v1 .zsched.pid)"
    ok "kill -9 of zoneadmd" die "$d"
    ok "reboot of one" zoneadm -z v1 reboot
    is "the same link" "$made" vlan_links
    is "used by" 2 sh -c "ip -j link show dev $made | jq '.[0].altnames|length'"
    ok "halt of one" zoneadm -z v1 halt
    is "the link stays for the other" "$made" vlan_links
    is "used by" 1 sh -c "ip -j link show dev $made | jq '.[0].altnames|length'"
    ok "which goes on" reaches v2 203.0.114.1
    # The whole zone at once: what nobody could take away, the next command does.
    ok "kill -9 of daemon, zsched and init" bash -c "kill -9 $(daemon v2) $(field v2 .zsched.pid) $(field v2 .pid)"
    ok "boot after that" boots v2
    is "the link" "$made" vlan_links
    ok "reaches the outside" reaches v2 203.0.114.1
    ok "none of it any more" zonecfg -z v2 'remove net'
    ok "while it runs" zoneadm -z v2 apply
    is "the link has gone" "" vlan_links
    ok "and again" zonecfg -z v2 "add net; set physical=eth0; set global-nic=lan0; set mode=$mode; set vlan-id=100; set address=203.0.114.12/24; end"
    ok "while it runs" zoneadm -z v2 apply
    is "the link" "$made" vlan_links
    ok "reaches the outside" reaches v2 203.0.114.1
    ok "halt of the other" zoneadm -z v2 halt
    is "the link has gone" "" vlan_links
    remove v1 v2
done
ok "a VLAN link that the host has" ip link add link lan0 name lan0.200 type vlan id 200
ok "is used" make v1 'add net; set physical=eth0; set global-nic=lan0; set vlan-id=200; set address=203.0.115.11/24; end'
ok "boot" boots v1
is "none is made" "" vlan_links
ok "it reaches the outside" reaches v1 203.0.115.1
remove v1
ok "and left" ip link show dev lan0.200
is "without our names" null sh -c "ip -j link show dev lan0.200 | jq '.[0].altnames'"
ip link del lan0.200
}

bridge_vlan() {
title "VLANs on a bridge"
ip link add br1 type bridge
no "a bridge that does not filter" "vlan_filtering 1" make b10 'add net; set physical=eth0; set global-nic=br1; set vlan-id=10; set address=203.0.116.11/24; end'
ip link del br1
if ! ip link add br0 type bridge vlan_filtering 1 2>/dev/null; then skip "VLANs on bridges: not in this kernel"; zonecfg -z b10 delete -F; return; fi
ip link set br0 up; ip link set tr0 master br0
bridge vlan add dev tr0 vid 10; bridge vlan add dev tr0 vid 20
for vid in 10 20; do
    outside ip link add link tr1 name tr1.$vid type vlan id $vid
    outside ip address add 203.0.$((116 + vid / 20)).1/24 dev tr1.$vid; outside ip link set tr1.$vid up
done
ok "on the other" zonecfg -z b10 'select net physical=eth0; set global-nic=br0; end'
ok "install" zoneadm -z b10 install
ok "c10" make c10 'add net; set physical=eth0; set global-nic=br0; set vlan-id=10; set address=203.0.116.12/24; end'
# The same network as b10's, but in the other VLAN.
ok "b20" make b20 'add net; set physical=eth0; set global-nic=br0; set vlan-id=20; set address=203.0.116.13/24,203.0.117.13/24; end'
ok "plain" make plain 'add net; set physical=eth0; set global-nic=br0; set address=203.0.116.14/24; end'
for zone in b10 c10 b20 plain; do ok "boot $zone" boots $zone; done
bridge -c vlan show 2>/dev/null | sed 's/^/      /'
ok "one VLAN: they reach each other" reaches b10 203.0.116.12
ok "and the trunk's" reaches b10 203.0.116.1
ok "the other one its own" reaches b20 203.0.117.1
ok "but not one another" cut_off b10 203.0.116.13
ok "nor who has none" cut_off b10 203.0.116.14
ok "nor from there" cut_off plain 203.0.116.11
if here tcpdump; then
    from=b10 sniffs "$work/tagged" 203.0.116.1 ip netns exec outside tcpdump -i tr1
    from=b10 sniffs "$work/inside" 203.0.116.1 zlogin b10 tcpdump -i eth0
    has "tagged on the trunk" 'vlan 10,' cat "$work/tagged"
    has "untagged inside" 'ICMP echo' grep -v vlan "$work/inside"
fi
is "two ports in VLAN 10 alone" 2 sh -c "bridge -j vlan show | jq '[.[]|select(.ifname|startswith(\"z\"))|select([.vlans[].vlan]==[10])]|length'"
ok "a reboot" zoneadm -z b10 reboot
ok "the same afterwards" reaches b10 203.0.116.1
remove b10 c10 b20 plain
ip link del br0
}

# What a link of the host is, in one line.
shape() {
    ip -d -j address show dev "$1" | jq -c '.[0]|{ifname,address,mtu,group,ifalias,altnames:(.altnames//[]|sort),up:(.flags|index("UP")!=null),addresses:[.addr_info[]|select(.scope=="global" or .dynamic)|"\(.local)/\(.prefixlen)"]}'
    ip route show dev "$1" | sort; ip -6 route show dev "$1" | grep -v fe80 | sort
}
physical() { # LINK: moves it in and looks that it comes back, whatever the zone does and whoever dies
    local link=$1 was
    title "The link $link moves in"
    was=$(shape "$link"); echo "$was"
    ok "make" make phys "add net; set physical=$link; set address=203.0.118.2/24; end"
    ok "boot" boots phys
    no "it is not on the host" 'does not exist|Cannot find' ip link show dev "$link"
    has "it is in the zone" '203\.0\.118\.2/24' zlogin phys ip address show dev "$link"
    ok "halt" zoneadm -z phys halt
    is "it is back" "$was" settled "$link"
    ok "boot" boots phys
    zlogin phys sh -c "ip link set $link down; ip link set $link name mine; ip link set mine address 02:00:00:00:00:77; ip link property add dev mine altname stolen; ip link set mine mtu 1300; ip link add link mine name mine.5 type vlan id 5; ip link set mine up"
    ok "renamed inside" zlogin phys ip link show dev mine
    ok "halt" zoneadm -z phys halt
    is "it is back" "$was" settled "$link"
    ok "boot" boots phys
    zlogin phys sh -c "ip link set $link down; ip link set $link name lo9; ip link set lo9 address 02:00:00:00:00:78"
    ok "kill -9 of daemon and zsched" bash -c "kill -9 $(daemon phys) $(field phys .zsched.pid)"
    has "boot says that it is booted" 'already booted' zoneadm -z phys boot
    ok "halt" zoneadm -z phys halt
    is "it is back" "$was" settled "$link"
    ok "boot" boots phys
    ok "kill -9 of daemon, zsched and init" bash -c "kill -9 $(daemon phys) $(field phys .zsched.pid) $(field phys .pid)"
    ok "boot after that" boots phys
    has "it is in the zone" '203\.0\.118\.2/24' zlogin phys ip address show dev "$link"
    ok "kill -9 of daemon, zsched and init" bash -c "kill -9 $(daemon phys) $(field phys .zsched.pid) $(field phys .pid)"
    ok "halt after that" zoneadm -z phys halt
    is "it is back" "$was" settled "$link"
    if [ -e "/sys/class/net/$link/device" ]; then
        # Hardware: without the namespace that was kept for it, it comes back by the kernel alone, under whatever name.
        ok "boot" boots phys
        zlogin phys sh -c "ip link set $link down; ip link set $link name gone"
        ok "the namespace is no longer kept" sh -c 'for at in $(awk "\$9 == \"nsfs\" && /run.zones/ {print \$5}" /proc/self/mountinfo); do umount "$at"; done'
        ok "kill -9 of daemon, zsched and init" bash -c "kill -9 $(daemon phys) $(field phys .zsched.pid) $(field phys .pid)"
        ok "halt after that" sh -c 'for try in 1 2 3 4 5 6; do said=$(zoneadm -z phys halt 2>&1) && exit; sleep 5; done; echo "$said"; exit 1'
        is "it is back" "$was" settled "$link"
    fi
    remove phys
    is "it is back" "$was" settled "$link"
}
settled() { # LINK: its shape, after what the host's udev and networkd may still do
    local left=15
    udevadm settle 2>/dev/null; sleep 3
    while [ "$(shape "$1" 2>&1)" != "$was" ] && [ $left -gt 0 ]; do left=$((left - 1)); sleep 1; done
    [ $left -gt 0 ] || [ "$(shape "$1" 2>&1)" = "$was" ] || journalctl -q -n 40 -o short-precise -u systemd-networkd >&2
    shape "$1"
}
moved() {
if ip link add ph0 address 02:00:00:00:00:55 mtu 1400 group 7 type dummy 2>/dev/null; then
    ip link set ph0 alias 'of people'; ip link property add dev ph0 altname physical-zero
    ip link set ph0 up; ip address add 192.0.2.9/24 dev ph0; ip address add 2001:db8:9::9/64 dev ph0 nodad
    ip route add 192.0.3.0/24 via 192.0.2.1 dev ph0
    physical ph0
    ip link del ph0
else skip "a dummy link: not in this kernel"; fi
local link free=
for link in /sys/class/net/*/device; do
    [ -e "$link" ] || continue
    link=${link%/device}; link=${link##*/}
    [ -z "$(ip route show default dev "$link")$(ip -4 -o address show dev "$link")" ] && free=$link
done
if [ -z "$free" ]; then skip "hardware: no network card is free"; return; fi
local mac up; mac=$(cat "/sys/class/net/$free/address"); up=$(ip -o link show up dev "$free")
if systemctl -q is-active systemd-networkd; then
    # As a host is administered: udev and networkd take what comes back for a new link, and do their part again.
    mkdir -p /run/systemd/network
    printf '[Match]\nPermanentMACAddress=%s\n[Link]\nNamePolicy=keep kernel database onboard slot path\nAlternativeName=second-card\n' "$mac" > /run/systemd/network/00-net-sh.link
    printf '[Match]\nPermanentMACAddress=%s\n[Network]\nAddress=192.0.2.77/24\nAddress=2001:db8:77::1/64\n[Route]\nDestination=192.0.4.0/24\nGateway=192.0.2.1\n' "$mac" > /run/systemd/network/00-net-sh.network
    udevadm control --reload; udevadm trigger --settle --action=add "/sys/class/net/$free"; networkctl reload
    ok "networkd has it" until_is 30 1 sh -c "ip -o address show dev $free | grep -c 192.0.2.77"
else
    ip link set "$free" up
    ip address add 192.0.2.77/24 dev "$free"; ip address add 2001:db8:77::1/64 dev "$free" nodad
    ip route add 192.0.4.0/24 via 192.0.2.1 dev "$free"
fi
ip link set "$free" alias 'the second card'; sleep 3
physical "$free"
rm -f /run/systemd/network/00-net-sh.*
here networkctl && { udevadm control --reload; networkctl reload; }
# Its link-local address, and the route of that, it had before.
ip address flush dev "$free" scope global; ip link set "$free" alias ''
[ -n "$up" ] || ip link set "$free" down
for name in $(ip -j link show dev "$free" | jq -r '.[0].altnames[]?|select(.=="second-card")'); do ip link property del dev "$free" altname "$name"; done
}

guest() {
title "A guest with systemd"
if [ -z "$archive" ]; then skip "a guest with systemd: no archive was given"; return; fi
zonecfg -z deb 'create; set brand=linux; add net; end; add port; set host=8080; set to=80; end'
ok "install" zoneadm -z deb install -a "$archive"
# mmdebstrap leaves the resolv.conf of the machine that it ran on, which to zones is the guest's own.
rm -f /var/lib/zones/deb/root/etc/resolv.conf
ok "boot" boots deb
ok "the bus is there" until_is 120 yes sh -c "zlogin deb test -S /run/dbus/system_bus_socket && echo yes"
is "is-system-running" running timeout 300 zlogin deb systemctl is-system-running --wait
local first; first=$(address deb 4)
ok "it reaches the outside" reaches_by_ip deb
here dnsmasq && has "names resolve" '^198\.51\.100\.2 ' zlogin deb getent hosts server.test
ok "its networkd starts" zlogin deb systemctl start systemd-networkd
sleep 5
is "and leaves the address" "$first" address deb 4
has "and the route" 'default via' zlogin deb ip route
has "as configured" 'configured|unmanaged' zlogin deb networkctl --no-pager list eth0
here dnsmasq && has "names resolve" '^198\.51\.100\.2 ' zlogin deb getent hosts server.test
ok shutdown zoneadm -z deb shutdown -t 120
remove deb
}
reaches_by_ip() { # a guest may have no ping
    zlogin "$1" bash -c 'exec 3<>/dev/tcp/198.51.100.2/80 && read -r line <&3 && echo "$line"'
}

for part in ${PARTS:-managed policies tunnel shared ipvlan vlan bridge_vlan moved guest}; do $part; done
cleanup
trap - EXIT
nothing_left
the_end
