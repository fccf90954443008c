// SPDX-License-Identifier: GPL-2.0-or-later
// Links, weights, tables and the LAN of imported scripts; whole scripts; anything else that a file can be.
#include <fstream>
#include <iterator>
#include <random>

#include "import_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const std::string data = LINKBAL_TEST_DATA;

std::string contents(const std::string& name) {
    std::ifstream file(data + "/" + name, std::ios::binary);
    REQUIRE(file.is_open());
    return {std::istreambuf_iterator<char>(file), {}};
}

const std::string by_client = "left: linkbal cannot choose links by the client yet";
const std::string no_addresses =
    "left: linkbal sets no addresses: keep this in the system's configuration";

const std::vector<ImportCase> route_cases{
    {"ip route add default via 192.168.2.1", "taken: default_uplink", "default_uplink = \"t2\""},
    {"/sbin/ip ro a default via 192.168.1.1 dev eth1", "taken: default_uplink",
     "default_uplink = \"t1\""},
    {"route add default gw 192.168.2.1", "taken: default_uplink", "default_uplink = \"t2\""},
    {"route add -net 0.0.0.0 gw 192.168.2.1 eth2", "taken: default_uplink",
     "default_uplink = \"t2\""},
    {"route add default gw 192.168.2.1\nroute del default gw 192.168.2.1\nroute add default gw "
     "192.168.1.1",
     "taken: default_uplink", "default_uplink = \"t1\""},
    {"ip route add default via 192.168.1.1\nip route add default via 192.168.2.1",
     "covered: there is such a route already, the command fails", "default_uplink = \"t1\""},
    {"ip route add default via 192.168.1.1 metric 9\nip route add default via 192.168.2.1 metric 5",
     "taken: default_uplink", "default_uplink = \"t2\""},
    {"ip route replace default via 192.168.1.1\nip route replace default via 192.168.2.1",
     "taken: default_uplink", "default_uplink = \"t2\""},
    {"ip route add default via 192.168.7.1", "left: it is not by one of the links", ""},
    {"ip route add 10.8.0.0/16 via 192.168.0.9",
     "left: linkbal leaves the main table's other routes alone: keep this in the system's "
     "configuration",
     ""},
    {"ip route add 192.168.1.0/24 dev eth1 src 192.168.1.2",
     "covered: the route of an address's own subnet", ""},
    {"ip route add 192.168.0.0/24 dev eth0 table t1",
     "covered: linkbal looks into the main table for such routes", ""},
    {"ip route add 10.8.0.0/16 via 192.168.0.9 table t1",
     "left: tables of uplinks have a default route only; what the main table has goes before", ""},
    {"ip route add default via 192.168.1.9 dev eth1 table t9",
     "left: eth1 has the router 192.168.1.1 already, and linkbal tells links by their interface",
     ""},
    {"ip route flush cache", "covered: linkbal brings its own routes and takes them away", ""},
    {"ip -6 route add default via 2001:db8:1::1 dev eth1 table t1", "taken: [[uplink]]",
     "gateway6 = \"2001:db8:1::1\""},
    {"ip route add default via 192.168.3.1 dev eth3 table 77", "taken: [[uplink]]",
     "name = \"eth3\"\ninterface = \"eth3\"\ngateway = \"192.168.3.1\"\ntable = 77\n"},
    {"ip route add default dev ppp0 table dsl", "taken: [[uplink]]",
     "name = \"dsl\"\ninterface = \"ppp0\"\n#"},
    {"ip route add prohibit 10.0.0.0/8", "left: the destination is not understood", ""},
};

const std::vector<ImportCase> rule_cases{
    {"ip rule add from 192.168.1.2 table t1",
     "covered: what has a link's address goes by this link", ""},
    {"ip rule add from 192.168.0.0/24 lookup t prio 9", "taken: networks of [lan]", ""},
    {"ip rule add from 192.168.0.7 lookup t1", by_client, ""},
    {"ip rule add to 10.0.0.0/8 lookup t1", "left: linkbal has no rules by this", ""},
    {"ip rule add lookup main prio 1", "covered: linkbal looks into the main table first", ""},
    {"ip rule add from 192.168.1.2 table other", "left: the table is not one of a link", ""},
    {"ip rule del fwmark 3", "covered: linkbal brings its own rules and takes them away", ""},
    {"iptables -t mangle -A PREROUTING -i eth0 -p tcp --dport 80 -j MARK --set-mark 3",
     "left: linkbal cannot choose links by this yet", ""},
    {"iptables -t mangle -A PREROUTING -i eth0 -j MARK --set-mark 9",
     "left: no rule of ip asks for this mark", ""},
    {"iptables -t mangle -A PREROUTING -j CONNMARK --restore-mark",
     "covered: linkbal keeps a connection on its link", ""},
    {"iptables -t mangle -A PREROUTING -i eth1 -j CONNMARK --set-mark 1",
     "covered: linkbal keeps a connection on its link", ""},
    {"iptables -t mangle -A PREROUTING -m mark ! --mark 0 -j ACCEPT",
     "covered: linkbal keeps a connection on its link", ""},
    {"iptables -t mangle -A PREROUTING -d 192.168.0.0/24 -j RETURN",
     "covered: linkbal keeps a connection on its link", ""},
    {"iptables -t mangle -I PREROUTING -d 203.0.113.0/24 -j RETURN",
     "left: linkbal changes nothing of packets but their link", ""},
    {"iptables -t mangle -A OUTPUT -j MARK --set-mark 3",
     "left: the gateway's own packets go by default_uplink", ""},
    {"iptables -t mangle -A POSTROUTING -j TOS --set-tos 16",
     "left: \"--set-tos\" is not understood", ""},
};

const std::vector<ImportCase> system_cases{
    {"echo 10 t1 >> /etc/iproute2/rt_tables", "taken: the number of a table", "table = 10\n"},
    {"echo -e \"201\\tt2\" >> /etc/iproute2/rt_tables", "taken: the number of a table",
     "table = 201\n"},
    {"cat >> /etc/iproute2/rt_tables <<EOF\n10 t1\n# no\n30 t # fallback\nEOF",
     "taken: the number of a table", "table = 30\ntable_name = \"t\"\n"},
    {"grep -q t1 /etc/iproute2/rt_tables || echo '10 t1' >> /etc/iproute2/rt_tables",
     "taken: the number of a table", "table = 10\n"},
    {"echo 10 t1 >> /etc/iproute2/rt_tables\nip rule add from 192.168.1.2 table 10",
     "covered: what has a link's address goes by this link", "table = 10\n"},
    {"ip route add default via 192.168.2.1 table 254", "taken: default_uplink",
     "default_uplink = \"t2\""},
    {"echo 254 t1 > /etc/iproute2/rt_tables", "taken: the number of a table",
     "# The script does not say the number of table t1: linkbal chooses one.\n"},
    {"echo 1 > /proc/sys/net/ipv4/ip_forward", "covered: linkbal sets it while it is up", ""},
    {"sysctl -w net.ipv4.ip_forward=1", "covered: linkbal sets it while it is up", ""},
    {"sysctl -w net.ipv4.conf.eth1.rp_filter=0", "covered: linkbal sets what its links need", ""},
    {"sysctl -w net.ipv4.tcp_syncookies=1",
     "left: linkbal sets only what balancing needs: keep this in /etc/sysctl.d", ""},
    {"echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts",
     "left: linkbal sets only what balancing needs: keep this in /etc/sysctl.d", ""},
    {"ifconfig eth0 192.168.0.1 netmask 255.255.255.0 up", no_addresses, ""},
    {"ip addr add 192.168.0.1/24 dev eth0", no_addresses, ""},
    {"ip link set eth1 up",
     "left: linkbal does not set up interfaces: keep this in the system's configuration", ""},
    {"/etc/firewall/ip-velox.pl", "left: this command is not understood", ""},
    {"tc qdisc add dev eth1 root sfq", "left: this command is not understood", ""},
    {"echo hello", "covered: it configures nothing", ""},
    {"X=$(date)", "covered: its value stands where it is used", ""},
    {"iptables -A INPUT -s $NOBODY -j DROP", "left: the script does not set $NOBODY", ""},
    {"if true; then\niptables -F\nfi", "left: runs only under the condition in line 7", ""},
};

std::string weights(const std::string& script) {
    std::vector<uint32_t> found;
    for (const UplinkConfig& uplink : import_script(script).model.config.uplinks) {
        found.push_back(uplink.weight);
    }
    return fmt::format("{}", fmt::join(found, " "));
}

const std::string two_tables = "ip route add default via 192.168.1.1 dev eth1 table 1\n"
                               "ip route add default via 192.168.2.1 dev eth2 table 2\n"
                               "ip rule add fwmark 1 table 1\nip rule add fwmark 2 table 2\n";
const std::string three_tables =
    two_tables +
    "ip route add default via 192.168.3.1 dev eth3 table 3\nip rule add fwmark 3 table 3\n";
const std::string mark = "iptables -t mangle -A PREROUTING -i eth0 ";

} // namespace

TEST_CASE("import: routes") { check_imports(links, route_cases); }
TEST_CASE("import: rules and marks") { check_imports(links, rule_cases); }
TEST_CASE("import: settings, tables, other commands") { check_imports(links, system_cases); }

TEST_CASE("import: weights of next hops and of marks by chance") {
    CHECK(weights("ip route add default scope global nexthop via 192.168.1.1 dev eth1 weight 3 "
                  "nexthop via 192.168.2.1 dev eth2 weight 2") == "3 2");
    CHECK(weights(links) == "1 1");
    CHECK(weights(two_tables + mark +
                  "-m statistic --mode nth --every 2 --packet 0 -j MARK --set-mark 1\n" + mark +
                  "-m statistic --mode nth --every 2 --packet 1 -j MARK --set-mark 2\n") == "1 1");
    CHECK(weights(two_tables + mark + "-j MARK --set-mark 1\n" + mark +
                  "-m statistic --mode random --probability 0.25 -j MARK --set-mark 2\n") == "3 1");
    CHECK(weights(three_tables + mark +
                  "-m state --state NEW -m statistic --mode nth --every 3 -j MARK "
                  "--set-mark 1\n" +
                  mark +
                  "-m mark --mark 0 -m statistic --mode nth --every 2 -j MARK --set-mark 2\n" +
                  mark + "-m mark --mark 0 -j MARK --set-mark 3\n") == "1 1 1");
    CHECK(weights(two_tables) == "1 1");
    CHECK(import_script(two_tables).model.balance_notes.size() == 2);
}

TEST_CASE("import: the LAN is where the script says that it is") {
    const auto lan = [](const std::string& script) {
        const auto& config = import_script(two_tables + script).model.config.lan;
        std::vector<std::string> words = config.interfaces;
        for (const Prefix& network : config.networks) {
            words.push_back(network.str());
        }
        return fmt::format("{}", fmt::join(words, " "));
    };
    CHECK(lan("# eth0: the LAN, 192.168.0.0/24\n") == "");
    CHECK(lan("ip addr add 192.168.0.1/24 dev eth0\nip rule add from 192.168.0.0/24 table 1") ==
          "eth0 192.168.0.0/24");
    CHECK(lan("ifconfig br0 10.1.0.1 netmask 255.255.0.0\niptables -t nat -A POSTROUTING -s "
              "10.1.0.0/16 "
              "-o eth1 -j MASQUERADE") == "br0 10.1.0.0/16");
    CHECK(lan("iptables -A FORWARD -i eth0 -j ACCEPT\niptables -A FORWARD -i tun0 -j ACCEPT") ==
          "eth0");
    CHECK(lan("iptables -A FORWARD -s 192.168.0.0/24 -j ACCEPT\niptables -A FORWARD -s "
              "192.168.0.0/16 -j "
              "ACCEPT\niptables -A FORWARD -s 192.168.1.0/24 -j ACCEPT") == "192.168.0.0/24");
}

TEST_CASE("import: no configuration without a link") {
    for (const std::string script : {"", "echo hello", "iptables -P INPUT DROP", "\xff\xfe\x00 x",
                                     "ip route add default via 192.168.1.1"}) {
        CHECK_FALSE(import_script(script).found());
    }
    CHECK(import_script("iptables -t nat -A POSTROUTING -o ppp0 -j MASQUERADE").found());
}

TEST_CASE("import: a LAN without an interface is for a person to fill in") {
    const auto text = import_toml(import_script(two_tables), "x");
    CHECK(text.find("write its name here") != std::string::npos);
    CHECK(mistakes_of(text).size() == 1);
}

TEST_CASE("import: comments can be read, whatever is in the script") {
    const auto text =
        import_toml(import_script(links + "caf\xe9 '\x01\x7f\xc3\xa9' \"a\nb\""), "\xe9\n.sh");
    CHECK(mistakes_of(text) == std::vector<std::string>{});
    CHECK(text.find("caf? '" + std::string(4, '?') + "' \"a b\"") != std::string::npos);
}

TEST_CASE("import: the how-to's own script") {
    const auto result = import_script(contents("howto_firewall"));
    const auto text = import_toml(result, "firewall.sh");
    CHECK(text == contents("howto.toml"));
    CHECK(mistakes_of(text) == std::vector<std::string>{});
    // Every line with a command has a fate.
    std::vector<uint32_t> lines;
    for (const ImportedCommand& command : result.commands) {
        lines.push_back(command.line);
        CHECK_FALSE(command.remarks.empty());
    }
    CHECK(std::ranges::is_sorted(lines));
    CHECK(lines.size() == 101);
}

TEST_CASE("import: the configuration says what the model says") {
    const auto result =
        import_script(closed +
                      "iptables -A INPUT -p tcp --dport 22 -m limit --limit 9/m "
                      "-j ACCEPT\niptables -A INPUT -p icmp -i eth0 -j ACCEPT\n"
                      "iptables -A INPUT -i eth2 -f -j LOG\n" +
                      "iptables -A FORWARD -d 192.168.0.9 -j ACCEPT\n"
                      "iptables -t nat -A PREROUTING -i eth1 -p udp --dport 500:600 -j "
                      "DNAT --to 192.168.0.9:700\nmodprobe nf_conntrack_sip ports=5061\n"
                      "echo 40 t1 >> /etc/iproute2/rt_tables\n");
    const auto read = accept_config(import_toml(result, "x"), "f.toml");
    REQUIRE(read);
    const Config& meant = result.model.config;
    CHECK(read->lan.interfaces == meant.lan.interfaces);
    CHECK(read->lan.networks == meant.lan.networks);
    REQUIRE(read->uplinks.size() == 2);
    CHECK(read->uplinks[0].table == 40U);
    CHECK(read->uplinks[1].gateway == meant.uplinks[1].gateway);
    CHECK(read->balance.table_name == "t");
    CHECK(read->firewall == meant.firewall);
    CHECK(read->forwards == meant.forwards);
    REQUIRE_FALSE(read->helpers.empty());
    CHECK(read->helpers[0].ports == std::vector<uint16_t>{5061});
}

TEST_CASE("import: a script cut off anywhere is answered") {
    const auto script = contents("howto_firewall");
    for (size_t length = 0; length <= script.size(); ++length) {
        const auto result = import_script(script.substr(0, length));
        if (result.found() && !result.model.config.lan.interfaces.empty()) {
            INFO(length);
            CHECK(mistakes_of(import_toml(result, "x")) == std::vector<std::string>{});
        }
    }
}

TEST_CASE(
    "import: a script with bytes changed is answered, with a configuration that can be read") {
    const auto script = contents("howto_firewall");
    std::mt19937 random(20261122); // always the same ones
    const auto below = [&](size_t limit) { return random() % limit; };
    const std::string likely = "\"'$`\\;&|<>(){}!#\n 019/.-";
    for (int round = 0; round < 1500; ++round) {
        std::string text = script;
        for (size_t changes = 1 + below(8); changes > 0; --changes) {
            const char byte =
                below(2) == 0 ? likely[below(likely.size())] : static_cast<char>(below(256));
            const size_t at = below(text.size());
            below(3) == 0 ? text.insert(at, 1, byte) : text.replace(at, 1, 1, byte);
        }
        const auto result = import_script(text);
        const auto toml = import_toml(result, "x");
        if (result.found() && !result.model.config.lan.interfaces.empty()) {
            INFO(toml);
            CHECK(mistakes_of(toml) == std::vector<std::string>{});
        }
    }
}

TEST_CASE("import: many rules take no endless time") {
    std::string script = links;
    for (int i = 0; i < 20000; ++i) {
        script += "iptables -I INPUT -j A\n";
    }
    CHECK(last_fate(import_script(script)) == "left: more than 8192 commands are not read");
}
