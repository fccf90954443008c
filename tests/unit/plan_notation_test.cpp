// SPDX-License-Identifier: GPL-2.0-or-later
// Every action in the words of ip(8), nft(8), tc(8), bpftool(8), sysctl(8) and conntrack(8).
#include "core/netfilter_rules.h"
#include "core/plan_notation.h"
#include "gateway_cases.h"
#include "linkbal/abi.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const NotationContext context{.instance = "linkbal",
                              .table_names = {{10, "velox1"}, {30, "velox"}},
                              .uplinks = {{1, "velox1", "eth1", 1}, {2, "velox2", "eth2", 1}},
                              .table_names_file = "/etc/iproute2/rt_tables.d/linkbal.conf"};

struct NotationCase {
    Action action;
    std::vector<std::string> lines;
};

void check(const std::vector<NotationCase>& cases) {
    for (const NotationCase& one : cases) {
        CHECK(action_notation(one.action, context) == one.lines);
    }
}

Route with_source(Route route, std::string_view source) {
    route.preferred_source = ip(source);
    return route;
}

Rule rule(Family family, uint32_t priority, uint32_t table) {
    Rule result;
    result.family = family;
    result.priority = priority;
    result.table = table;
    return result;
}
Rule from(Rule rule, std::string_view source) {
    rule.source = net(source);
    return rule;
}
Rule marked(Rule rule, uint32_t mark, uint32_t mask) {
    rule.mark = mark;
    rule.mark_mask = mask;
    return rule;
}
Rule coming_by(Rule rule, const std::string& device) {
    rule.input_interface = device;
    return rule;
}
Rule going_by(Rule rule, const std::string& device) {
    rule.output_interface = device;
    return rule;
}
Rule suppressing(Rule rule) {
    rule.suppress_prefix_length = 0;
    return rule;
}

BucketAssignment buckets(uint16_t first, uint16_t second) {
    BucketAssignment assignment(LB_BUCKETS, first);
    std::fill(assignment.begin(), assignment.begin() + LB_BUCKETS / 4, second);
    return assignment;
}

DatapathDevice device(const std::string& name, Forwarding forwarding) {
    return {name, forwarding, true, {2, 0, 0, 0, 0, 10}, {1500, 1280}};
}

} // namespace

TEST_CASE("notation of routes") {
    const Route ipv4 = route(10, "0.0.0.0/0", {via("192.168.1.1", "eth1")});
    const Route ipv6 = route(10, "::/0", {via("fe80::1", "eth1")}, 1024);
    check({
        {AddRoute{ipv4},
         {"ip -4 route add default via 192.168.1.1 dev eth1 table velox1 proto 76"}},
        {AddRoute{ipv6},
         {"ip -6 route add default via fe80::1 dev eth1 table velox1 proto 76 metric 1024"}},
        {ReplaceRoute{ipv6, ipv4},
         {"ip -4 route replace default via 192.168.1.1 dev eth1 table velox1 proto 76"}},
        {RemoveRoute{ipv4},
         {"ip -4 route del default via 192.168.1.1 dev eth1 table velox1 proto 76"}},
        {AddRoute{with_source(route(11, "192.168.2.0/24", {through("eth2")}), "192.168.2.2")},
         {"ip -4 route add 192.168.2.0/24 dev eth2 table 11 proto 76 src 192.168.2.2"}},
        {AddRoute{route(30, "0.0.0.0/0", {via("192.168.1.1", "eth1", 3), through("ppp0", 256)})},
         {"ip -4 route add default table velox proto 76 nexthop via 192.168.1.1 dev eth1 weight 3 "
          "nexthop dev ppp0 weight 256"}},
        {AddRoute{route(30, "::/0", {via("fe80::1", "eth1"), via("fe80::2", "eth2")}, 1024)},
         {"ip -6 route add default table velox proto 76 metric 1024 nexthop via fe80::1 dev eth1 "
          "weight 1 nexthop via fe80::2 dev eth2 weight 1"}},
    });
}

// "add" refuses (NLM_F_EXCL) where somebody else has a default route of the same metric.
TEST_CASE("a route in main goes in front of others'") {
    check({
        {AddRoute{route(main_table, "0.0.0.0/0", {via("192.168.1.1", "eth1")})},
         {"ip -4 route prepend default via 192.168.1.1 dev eth1 table main proto 76"}},
        {AddRoute{route(main_table, "::/0", {via("fe80::1", "eth1")}, 1023)},
         {"ip -6 route prepend default via fe80::1 dev eth1 table main proto 76 metric 1023"}},
        {RemoveRoute{route(main_table, "0.0.0.0/0", {via("192.168.1.1", "eth1")})},
         {"ip -4 route del default via 192.168.1.1 dev eth1 table main proto 76"}},
    });
}

TEST_CASE("notation of rules") {
    using enum Family;
    check({
        {AddRule{suppressing(rule(ipv4, 10000, main_table))},
         {"ip -4 rule add pref 10000 lookup main suppress_prefixlength 0 protocol 76"}},
        {RemoveRule{suppressing(rule(ipv6, 10000, main_table))},
         {"ip -6 rule del pref 10000 lookup main suppress_prefixlength 0 protocol 76"}},
        {AddRule{from(rule(ipv4, 10001, 10), "192.168.1.2/32")},
         {"ip -4 rule add pref 10001 from 192.168.1.2 lookup velox1 protocol 76"}},
        {AddRule{from(rule(ipv6, 10001, 10), "2001:db8:1::2/128")},
         {"ip -6 rule add pref 10001 from 2001:db8:1::2 lookup velox1 protocol 76"}},
        {RemoveRule{from(rule(ipv4, 10001, 10), "10.0.0.0/8")},
         {"ip -4 rule del pref 10001 from 10.0.0.0/8 lookup velox1 protocol 76"}},
        {AddRule{marked(rule(ipv4, 10002, 11), 0x20000, 0xff0000)},
         {"ip -4 rule add pref 10002 fwmark 0x20000/0xff0000 lookup 11 protocol 76"}},
        {AddRule{going_by(rule(ipv6, 10002, 10), "eth1")},
         {"ip -6 rule add pref 10002 oif eth1 lookup velox1 protocol 76"}},
        {AddRule{coming_by(rule(ipv6, 10003, 30), "eth0")},
         {"ip -6 rule add pref 10003 iif eth0 lookup velox protocol 76"}},
    });
}

TEST_CASE("notation of table names") {
    const std::vector<TableName> names{{10, "velox1"}, {30, "velox"}};
    check({
        {SetTableNames{std::nullopt, names},
         {"cat > /etc/iproute2/rt_tables.d/linkbal.conf <<EOF", "10\tvelox1", "30\tvelox", "EOF"}},
        {SetTableNames{names, std::nullopt}, {"rm /etc/iproute2/rt_tables.d/linkbal.conf"}},
    });
}

// sysctl(8) takes dots for slashes and slashes for dots, where the first of either is a dot.
TEST_CASE("notation of kernel parameters") {
    check({
        {SetSysctl{"net/ipv4/ip_forward", "0", "1"},
         {"sysctl -w net.ipv4.ip_forward=1    # was 0"}},
        {SetSysctl{"net/ipv4/conf/eth1.10/rp_filter", "1", "2"},
         {"sysctl -w net.ipv4.conf.eth1/10.rp_filter=2    # was 1"}},
    });
}

TEST_CASE("notation of the nftables table") {
    const NetfilterState state{
        0x00ff0000, {{"velox1", "eth1", 0x00010000}}, nets({"192.168.0.0/24", "2001:db8::/48"})};
    const std::string table = nft_notation("linkbal", netfilter_ruleset(state));
    check({
        {ReplaceNetfilter{state, false}, {"nft -f - <<EOF", table, "EOF"}},
        {ReplaceNetfilter{state, true},
         {"nft -f - <<EOF", "delete table inet linkbal", table, "EOF"}},
        {RemoveNetfilter{}, {"nft delete table inet linkbal"}},
    });
}

TEST_CASE("notation of attachments") {
    using enum AttachRole;
    check({
        {Attach{{"eth0", lan_ingress, true}},
         {"bpftool net attach tcx_ingress pinned /sys/fs/bpf/linkbal/programs/lb_classify dev "
          "eth0"}},
        {Attach{{"eth1", uplink_egress, true}},
         {"bpftool net attach tcx_egress pinned /sys/fs/bpf/linkbal/programs/lb_count_tx dev "
          "eth1"}},
        {Detach{{"eth0", lan_egress, true}}, {"bpftool net detach tcx_egress dev eth0"}},
        {Attach{{"eth0", lan_ingress, false}},
         {"tc filter replace dev eth0 ingress protocol all pref 19522 handle 0x4c42 bpf "
          "direct-action object-pinned /sys/fs/bpf/linkbal/programs/lb_classify"}},
        {Attach{{"eth1", xdp, true}},
         {"ip link set dev eth1 xdpdrv pinned /sys/fs/bpf/linkbal/programs/lb_fast_xdp"}},
        {Detach{{"eth1", xdp, true}}, {"ip link set dev eth1 xdpdrv off"}},
        {Detach{{"eth1", uplink_egress, false}},
         {"tc filter del dev eth1 egress protocol all pref 19522 handle 0x4c42 bpf"}},
    });
}

TEST_CASE("notation of the maps") {
    check({
        {LoadPrograms{}, {"# load the programs, pinned below /sys/fs/bpf/linkbal"}},
        {LoadPrograms{true}, {"# replace the programs, pinned below /sys/fs/bpf/linkbal"}},
        {UnloadPrograms{}, {"# detach the programs, remove /sys/fs/bpf/linkbal"}},
        {SetDevices{{}, {{"eth0"}, {{1, "velox1", "eth1", 3}}, {}}},
         {"# map devices: eth0 is the LAN's",
          "# maps devices, uplinks: 1 is velox1 on eth1, weight 3"}},
        {SetDevices{{{"eth0", "eth4"}, {{1, "velox1", "eth1", 1}, {2, "velox2", "eth2", 1}}, {}},
                    {{"eth0", "eth5"}, {{1, "velox1", "eth1", 3}}, {}}},
         {"# map devices: eth5 is the LAN's",
          "# maps devices, uplinks: 1 is velox1 on eth1, weight 3",
          "# maps devices, uplinks: velox2 is gone"}},
        {SetDevices{{{}, {}, {device("eth0", Forwarding::tc)}},
                    {{}, {}, {device("eth0", Forwarding::xdp), device("eth1", Forwarding::tc)}}},
         {"# map interfaces: eth0 forwards by xdp, 02:00:00:00:00:0a, MTU 1500 and 1280",
          "# map interfaces: eth1 forwards by tc, 02:00:00:00:00:0a, MTU 1500 and 1280"}},
        {SetBypass{{}, nets({"10.0.0.0/8", "fe80::/10"})},
         {"# maps bypass4, bypass6: 10.0.0.0/8 fe80::/10"}},
        {SetBuckets{Family::ipv4, {}, buckets(1, 2)},
         {"# map buckets, IPv4: none -> velox1 49152, velox2 16384 (65536 of 65536 move)"}},
        {SetBuckets{Family::ipv6, buckets(1, 2), buckets(1, 9)},
         {"# map buckets, IPv6: velox1 49152, velox2 16384 -> velox1 49152, uplink 9 16384 (16384 "
          "of 65536 move)"}},
        {SetBuckets{Family::ipv6, buckets(2, 2), {}},
         {"# map buckets, IPv6: velox2 65536 -> none (65536 of 65536 move)"}},
    });
}

TEST_CASE("notation of unreachable routes") {
    const Route v4 = route(30, "0.0.0.0/0", {});
    const Route v6 = route(30, "::/0", {}, 1024);
    check({
        {AddRoute{v4}, {"ip -4 route add unreachable default table velox proto 76"}},
        {AddRoute{v6}, {"ip -6 route add unreachable default table velox proto 76 metric 1024"}},
        {ReplaceRoute{route(30, "0.0.0.0/0", {via("192.168.1.1", "eth1")}), v4},
         {"ip -4 route replace unreachable default table velox proto 76"}},
        {RemoveRoute{v6}, {"ip -6 route del unreachable default table velox proto 76 metric 1024"}},
    });
}

TEST_CASE("notation of forgotten connections") {
    check({
        {ForgetConnections{"velox3", 3, 0x30000, 0xff0000, std::nullopt, false},
         {"conntrack -D -m 0x30000/0xff0000    # velox3"}},
        {ForgetConnections{"velox3", 3, 0x30000, 0xff0000, Family::ipv6, true},
         {"conntrack -D -f ipv6 -m 0x30000/0xff0000    # velox3, clients get a reset"}},
    });
}
