// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of the rules of a firewall.
#include "import_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const std::string everywhere =
    "left: [firewall] lets the LAN out to everywhere, whatever it asks for";
const std::string not_accepted = "covered: what nothing accepts is dropped";
const std::string open_gateway =
    "left: the script leaves INPUT or FORWARD open and [firewall] closes "
    "both, so that it is not written";

const std::string limit_of_all = "left: the script's limit is of all clients together, a rate of "
                                 "[[firewall.allow]] is of each";

const std::vector<ImportCase> input_cases{
    {"iptables -A INPUT -i lo -j ACCEPT", "covered: the gateway may talk to itself", "ping = []"},
    {"iptables -A INPUT ! -i lo -p tcp --dport 22 -j ACCEPT", "left: \"!\" is not understood", ""},
    {"iptables -A INPUT -j DROP\niptables -A INPUT -p tcp --dport 22 -j ACCEPT",
     "covered: an earlier rule takes all", "ping = []\nlog = []\n"},
    {"iptables -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT",
     "covered: answers and what belongs to a connection are accepted", ""},
    {"iptables -A INPUT -m conntrack --ctstate INVALID -j DROP",
     "covered: invalid packets are dropped", ""},
    {"iptables -A INPUT -p tcp --dport 22 -j ACCEPT", "taken: [[firewall.allow]]",
     "service = [\"ssh\"]\nfrom = [\"lan\", \"uplinks\"]\n"},
    {"iptables -A INPUT -i eth0 -p tcp --dport ssh -j ACCEPT", "taken: [[firewall.allow]]",
     "service = [\"ssh\"]\nfrom = [\"lan\"]\n"},
    {"iptables -A INPUT -s 192.168.0.0/255.255.255.0 -p 6 --dport 22 -m state --state NEW -j "
     "ACCEPT",
     "taken: [[firewall.allow]]", "service = [\"ssh\"]\nfrom = [\"lan\"]\n"},
    {"iptables -I INPUT 1 -p tcp -s 203.0.113.0/24 --dport 22 --syn -j ACCEPT",
     "taken: [[firewall.allow]]", "from = [\"203.0.113.0/24\"]"},
    {"iptables -A INPUT -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT",
     "taken: [[firewall.allow]]", "service = [\"http\", \"https\", \"8000-8010/tcp\"]"},
    {"iptables -A INPUT -i eth0 -j ACCEPT", "differs: [[firewall.allow]] of TCP and UDP, and ping",
     "service = [\"1-65535/tcp\", \"1-65535/udp\"]\nfrom = [\"lan\"]\n"},
    {"iptables -A INPUT -i eth0 -p udp --dport 53 -j ACCEPT", "taken: [[firewall.allow]]",
     "service = [\"53/udp\"]"},
    {"iptables -A INPUT -i eth1 -p tcp --dport 22 -j ACCEPT",
     "left: [firewall] lets a service in from all uplinks or from none", "log = []\n"},
    {"iptables -A INPUT -i eth1 -p tcp --dport 22 -j ACCEPT\n"
     "iptables -A INPUT -i eth2 -p tcp --dport 22 -j ACCEPT",
     "taken: [[firewall.allow]]", "from = [\"uplinks\"]"},
    {"iptables -A INPUT -i tun0 -p tcp --dport 22 -j ACCEPT",
     "left: tun0 is neither the LAN nor an uplink", ""},
    {"iptables -A INPUT -p tcp --dport 22 -m limit --limit 3/min --limit-burst 5 -j ACCEPT",
     limit_of_all, "log = []\n"},
    {"iptables -A INPUT -p tcp --dport 22 -m hashlimit --hashlimit-upto 10/hour "
     "--hashlimit-mode srcip --hashlimit-name ssh -j ACCEPT",
     "taken: [[firewall.allow]]", "rate = \"10/hour\""},
    {"iptables -A INPUT -i eth0 -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT", limit_of_all,
     "log = []\n"},
    {"iptables -A INPUT -p tcp --dport 22 -m limit --limit 3/day -j ACCEPT",
     "left: a rate is a number of connections a second, minute or hour", ""},
    {"iptables -A INPUT -p tcp --dport 22 -m recent --update -j ACCEPT",
     "left: \"-m recent\" is not understood", ""},
    {"iptables -A INPUT -p tcp ! -s 203.0.113.1 --dport 22 -j ACCEPT",
     "left: \"!\" is not understood", ""},
    {"iptables -A INPUT -p tcp --sport 53 -j ACCEPT",
     "left: a service is known by the gateway's port, not by the client's", ""},
    {"iptables -A INPUT -p tcp -d 198.51.100.1 --dport 22 -j ACCEPT",
     "left: 198.51.100.1 is no address of the gateway that the script names", ""},
    {"iptables -A INPUT -p tcp -d 192.168.1.2 --dport 22 -j ACCEPT",
     "left: [firewall] opens services on all addresses of the gateway or on none", "log = []\n"},
    {"iptables -A INPUT -p sctp -j ACCEPT",
     "left: [firewall] lets in services of TCP and UDP, and few other protocols", ""},
    {"iptables -A INPUT -p gre -j ACCEPT", "taken: [[firewall.allow]]", "service = [\"gre\"]\n"},
    {"iptables -A INPUT -i eth0 -p igmp -j ACCEPT", "covered: IGMP is accepted from the LAN", ""},
    {"iptables -A INPUT -i eth0 -p udp --dport 67:68 -j ACCEPT",
     "covered: DHCP is accepted from the LAN", ""},
    {"iptables -A INPUT -p udp --dport 67 -j ACCEPT",
     "differs: DHCP is accepted, but only from the LAN", ""},
    {"iptables -A INPUT -p tcp --dport 23 -j DROP", not_accepted, ""},
    {"iptables -A INPUT -p tcp --dport 23 -j REJECT", not_accepted, ""},
    {"iptables -A INPUT -j DROP", not_accepted, ""},
    {"iptables -A INPUT -j REJECT", "differs: what nothing accepts is dropped, not rejected", ""},
    {"iptables -A INPUT -s 203.0.113.9 -j DROP", not_accepted, ""},
    {"iptables -A INPUT -j CHAIN", "left: chains of its own and other targets are not followed",
     ""},
    {"iptables -A CHAIN -j ACCEPT", "left: chains of its own are not followed", ""},
    {"iptables -N CHAIN", "left: chains of its own are not followed", ""},
    {"iptables -P OUTPUT DROP", "left: linkbal lets the gateway itself send everything", ""},
    {"iptables -P OUTPUT ACCEPT", "covered: that is how it is", ""},
    {"iptables -A OUTPUT -j ACCEPT", "covered: the gateway itself may send everything", ""},
    {"iptables -A OUTPUT -p tcp --dport 25 -j DROP",
     "left: linkbal lets the gateway itself send everything", ""},
};

const std::vector<ImportCase> ping_cases{
    {"iptables -A INPUT -p icmp --icmp-type 8 -i eth0 -j ACCEPT", "taken: ping",
     "ping = [\"lan\"]"},
    {"iptables -A INPUT -p icmp --icmp-type echo-request -j ACCEPT", "taken: ping",
     "ping = [\"lan\", \"uplinks\"]"},
    {"iptables -A INPUT -p icmp --icmp-type 8 -m limit --limit 1/s -j ACCEPT",
     "left: ping is let in without a limit or not at all", "ping = []"},
    {"iptables -A INPUT -p icmp -j ACCEPT", "differs: ping; of ICMP's requests no others",
     "ping = [\"lan\", \"uplinks\"]"},
    {"iptables -A INPUT -p icmp -s 203.0.113.0/24 --icmp-type 8 -j ACCEPT", "taken: ping",
     "ping = [\"203.0.113.0/24\"]"},
    {"iptables -A INPUT -p icmp --icmp-type 0 -j ACCEPT",
     "covered: answers and errors are accepted", "ping = []"},
    {"iptables -A INPUT -p icmp --icmp-type 13 -j ACCEPT",
     "left: of ICMP's requests [firewall] only accepts ping", ""},
    {"ip6tables -A INPUT -p icmpv6 --icmpv6-type 135 -j ACCEPT",
     "covered: answers and errors are accepted", ""},
    {"iptables -A INPUT -p icmp --icmp-type 8 -j ACCEPT\n"
     "ip6tables -A INPUT -p ipv6-icmp --icmpv6-type 128 -j ACCEPT",
     "taken: ping", "ping = [\"lan\", \"uplinks\"]"},
};

const std::vector<ImportCase> drop_cases{
    {"iptables -A INPUT -i eth1 -f -j DROP",
     "covered: fragments from the uplinks for the gateway are dropped", "log = []"},
    {"iptables -A INPUT -i eth1 -f -j LOG --log-prefix \"Frag: \"",
     "differs: logged, in lines that begin with \"linkbal fragment: \", not with \"Frag\"",
     "log = [\"fragments\"]"},
    {"iptables -A INPUT -i eth1 -s 10.0.0.0/8 -j DROP",
     "covered: spoofed sources are dropped on the uplinks", ""},
    {"for i in eth1 eth2; do iptables -A FORWARD -i $i -s 192.168.0.0/24 -j DROP; done",
     "covered: spoofed sources are dropped on the uplinks", ""},
    {"iptables -A INPUT -i eth2 -s 127.0.0.0/8 -j LOG",
     "differs: logged, in lines that begin with \"linkbal spoofed: \"", "log = [\"spoofed\"]"},
    {"iptables -A INPUT -m limit --limit 5/min -j LOG --log-prefix 'in' --log-level 4",
     "differs: logged, in lines that begin with \"linkbal input: \", not with \"in\"",
     "log = [\"input\"]"},
    {"iptables -A FORWARD -j LOG",
     "differs: logged, in lines that begin with \"linkbal forward: \"", "log = [\"forward\"]"},
    {"iptables -A FORWARD -m state --state INVALID -j LOG",
     "differs: logged, in lines that begin with \"linkbal invalid: \"", "log = [\"invalid\"]"},
    {"iptables -A INPUT -p tcp --dport 22 -j LOG",
     "left: linkbal logs what it drops: fragments, spoofed, invalid, input, forward", "log = []"},
};

const std::vector<ImportCase> forward_cases{
    {"iptables -A FORWARD -p udp -s 192.168.0.0/24 --dport 53 -j ACCEPT",
     "covered: an earlier rule has accepted it", ""},
    {"iptables -A FORWARD -s 192.168.0.7 -p tcp --dport 25 -j DROP",
     "covered: an earlier rule has accepted it", ""},
    {"iptables -I FORWARD -s 192.168.0.7 -p tcp --dport 25 -j DROP", everywhere, ""},
    {"iptables -I FORWARD -i eth0 -p udp --dport 53 -j DROP", everywhere, ""},
    {"iptables -A FORWARD -p udp -s 203.0.113.53 --sport 53 -d 192.168.0.0/24 -j ACCEPT",
     "covered: answers are accepted", ""},
    {"iptables -A FORWARD -d 192.168.0.0/24 -j ACCEPT",
     "left: by uplinks nothing comes in but what a [[forward]] says", ""},
    {"iptables -A FORWARD -i eth1 -o eth0 -m state --state ESTABLISHED -j ACCEPT",
     "covered: answers and what belongs to a connection are accepted", ""},
    {"iptables -A FORWARD -i eth1 -j DROP", not_accepted, ""},
    {"iptables -A FORWARD -s 192.168.0.0/24 -d 203.0.113.53 -p udp --dport 53 -j ACCEPT\n"
     "iptables -A FORWARD -s 192.168.0.0/24 -p udp --dport 53 -j DROP",
     "covered: an earlier rule has accepted it", "ping = []\nlog"},
    {"iptables -I FORWARD -s 192.168.0.0/24 -p udp --dport 53 -j DROP\n"
     "iptables -I FORWARD -s 192.168.0.0/24 -d 203.0.113.53 -p udp --dport 53 -j ACCEPT",
     "taken: dns_servers", "dns_servers = [\"203.0.113.53\"]"},
};

const std::string accept = "iptables -A FORWARD -d 192.168.0.10 -p tcp --dport 80 -j ACCEPT\n";
const std::string dnat = "iptables -t nat -A PREROUTING -p tcp ";
const std::vector<ImportCase> nat_cases{
    {accept + dnat + "-i eth1 --dport 8080 -j DNAT --to-destination 192.168.0.10:80",
     "taken: [[forward]]",
     "[[forward]]\nprotocol = \"tcp\"\nport = 8080\nto = \"192.168.0.10:80\"\nuplinks = "
     "[\"t1\"]\nhairpin = false\n"},
    {accept + dnat + "-i eth1 --dport 80 -j DNAT --to 192.168.0.10\n" + dnat +
         "-i eth2 --dport 80 -j DNAT --to 192.168.0.10",
     "taken: [[forward]]", "port = 80\nto = \"192.168.0.10\"\nhairpin = false\n"},
    {accept + dnat + "-d 192.168.2.2 --dport 80 -j DNAT --to 192.168.0.10", "taken: [[forward]]",
     "uplinks = [\"t2\"]\n"},
    {accept + dnat + "--dport 80 -j DNAT --to 192.168.0.10",
     "differs: [[forward]]; only of what is for an uplink's address",
     "port = 80\nto = \"192.168.0.10\"\n"},
    {accept + dnat + "-i eth1 -s 203.0.113.0/24 --dport 80 -j DNAT --to 192.168.0.10",
     "taken: [[forward]]", "from = [\"203.0.113.0/24\"]"},
    {"iptables -A FORWARD -s 203.0.113.0/24 -d 192.168.0.10 -j ACCEPT\n" + dnat +
         "-i eth1 --dport 80 -j DNAT --to 192.168.0.10",
     "taken: [[forward]]", "from = [\"203.0.113.0/24\"]"},
    {"iptables -A FORWARD -d 192.168.0.10 -j ACCEPT\n" + dnat +
         "-i eth1 --dport 6000:6010 -j DNAT --to 192.168.0.10:7000-7010",
     "taken: [[forward]]", "port = \"6000-6010\"\nto = \"192.168.0.10:7000\"\n"},
    {dnat + "-i eth1 --dport 80 -j DNAT --to 192.168.0.10",
     "left: no rule of FORWARD accepts what it would forward, or an earlier one refuses some of it",
     ""},
    {accept + dnat + "-i eth1 --dport 80 -j DNAT --to 192.168.9.10",
     "left: 192.168.9.10 is not in the LAN", ""},
    {accept + dnat + "-i eth1 --dport 80 -j DNAT --to 192.168.0.10\n" + dnat +
         "-i eth1 --dport 80 -j DNAT --to 192.168.0.10:80",
     "left: an earlier rule has taken these ports", ""},
    {"iptables -A INPUT -p tcp --dport 80 -j ACCEPT\n" + accept + dnat +
         "-i eth1 --dport 80 -j DNAT --to 192.168.0.10",
     "taken: [[forward]]", "from = [\"lan\"]\n"},
    {dnat + "-i eth1 -j DNAT --to 192.168.0.10",
     "left: a [[forward]] is of ports of TCP or UDP, to one address", ""},
    {dnat + "-i eth0 --dport 80 -j REDIRECT --to-port 3128",
     "left: linkbal sends nothing to a proxy of the gateway's own", ""},
    {dnat + "-i eth1 --dport 80 -j DNAT --to 192.168.0.10\n" + accept,
     "covered: a [[forward]] accepts by itself what it forwards", "port = 80\n"},
    {"iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE",
     "covered: linkbal masquerades the LAN on every uplink", ""},
    {"iptables -t nat -A POSTROUTING -o eth1 -j SNAT --to-source 192.168.1.2",
     "covered: linkbal masquerades the LAN on every uplink", ""},
    {"iptables -t nat -A POSTROUTING -o eth1 -j SNAT --to-source 198.51.100.7",
     "left: linkbal masquerades with the link's own address, and the script does not say that it "
     "is "
     "this one",
     ""},
    {"iptables -t nat -A POSTROUTING -o tun0 -j MASQUERADE",
     "left: linkbal masquerades the LAN on its uplinks and nothing else", ""},
};

const std::vector<ImportCase> other_cases{
    {"iptables -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
     "covered: mss = \"auto\" is the default", ""},
    {"iptables -t mangle -A FORWARD -o eth1 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss "
     "1400",
     "taken: mss of the uplinks", "weight = 1\nmss = 1400\n"},
    {"modprobe ip_conntrack_ftp", "taken: [helpers]", "[helpers]\nftp = true\n"},
    {"modprobe nf_conntrack_ftp ports=2121,21", "taken: [helpers]", "ftp = [21, 2121]\n"},
    {"modprobe nf_nat_sip", "taken: [helpers]", "sip = true\n"},
    {"/sbin/modprobe -q nf_conntrack_netbios_ns", "taken: [helpers]", "netbios-ns = true\n"},
    {"iptables -t raw -A PREROUTING -p tcp --dport 2121 -j CT --helper ftp", "taken: [helpers]",
     "ftp = [2121]\n"},
    {"modprobe ipt_LOG", "covered: the kernel loads it where it is needed", ""},
    {"modprobe 8139too", "left: linkbal loads no modules of others: keep this in /etc/modules", ""},
    {"iptables -A INPUT -p tcp --dport 22 -j ACCEPT\niptables -F",
     "covered: linkbal has a table of its own, which it replaces as a whole", "default_uplink"},
};

const std::vector<ImportCase> open_cases{
    {"iptables -P INPUT DROP",
     "left: [firewall] closes INPUT and FORWARD, of IPv4 and of IPv6; the script leaves one of "
     "them "
     "open, so that it is not written",
     ""},
    {"iptables -A INPUT -p tcp --dport 22 -j ACCEPT", "covered: without [firewall] all is accepted",
     ""},
    {"iptables -A INPUT -p tcp --dport 23 -j DROP", open_gateway, ""},
    {"iptables -P INPUT DROP\niptables -P FORWARD DROP\niptables -A FORWARD -j ACCEPT",
     "covered: without [firewall] all is accepted", ""},
    {"iptables -t nat -A PREROUTING -i eth1 -p tcp --dport 80 -j DNAT --to 192.168.0.10",
     "taken: [[forward]]", "port = 80\n"},
};

} // namespace

TEST_CASE("import: who may use the gateway") { check_imports(closed, input_cases); }
TEST_CASE("import: who may ping the gateway") { check_imports(closed, ping_cases); }
TEST_CASE("import: what is dropped and logged") { check_imports(closed, drop_cases); }
TEST_CASE("import: what the LAN may do") { check_imports(closed, forward_cases); }
TEST_CASE("import: masquerading and port forwards") { check_imports(closed, nat_cases); }
TEST_CASE("import: helpers and the size of segments") {
    check_imports(closed + "ip route add default via 192.168.2.1\n", other_cases);
}

TEST_CASE("import: a gateway that is open gets no [firewall]") {
    check_imports(links, open_cases);
    for (const ImportCase& item : open_cases) {
        INFO(item.commands);
        CHECK(import_toml(import_script(links + item.commands), "x").find("\n[firewall]") ==
              std::string::npos);
    }
}

TEST_CASE("import: the LAN's own addresses are spoofed on an uplink, public ones too") {
    std::string script = closed;
    for (size_t at = script.find("192.168.0.0"); at != std::string::npos;
         at = script.find("192.168.0.0")) {
        script.replace(at, 11, "203.0.113.0");
    }
    CHECK(
        last_fate(import_script(script + "iptables -A INPUT -i eth1 -s 203.0.113.0/24 -j DROP")) ==
        "covered: spoofed sources are dropped on the uplinks");
}

TEST_CASE("import: chains that end with a drop are closed") {
    const auto result =
        import_script(links + "iptables -A FORWARD -s 192.168.0.0/24 -j ACCEPT\n"
                              "iptables -A INPUT -j DROP\niptables -A FORWARD -j REJECT\n");
    CHECK(result.model.config.firewall);
    const auto later = import_script(closed + "iptables -P INPUT ACCEPT\n");
    CHECK_FALSE(later.model.config.firewall);
    CHECK(later.commands[6].remarks == std::vector<std::string>{"a later command replaces it"});
}

TEST_CASE("import: what [firewall] does beyond the script is said") {
    const auto notes = [](const std::string& more) {
        return fmt::format("{}",
                           fmt::join(import_script(closed + more).model.firewall_notes, "\n"));
    };
    CHECK(notes("").find("IPv6 is closed like IPv4") != std::string::npos);
    CHECK(notes("ip6tables -P INPUT DROP\nip6tables -P FORWARD DROP").find("IPv6") ==
          std::string::npos);
    CHECK(notes("").find("Fragments") != std::string::npos);
    CHECK(notes("iptables -A INPUT -i eth1 -f -j DROP").find("Fragments") == std::string::npos);
    CHECK(notes("").find("DHCP") != std::string::npos);
    CHECK(notes("iptables -A INPUT -i eth0 -p udp --dport 67 -j ACCEPT").find("DHCP") ==
          std::string::npos);
    CHECK(notes("").find("WIDER") == std::string::npos);
    CHECK(notes("iptables -F FORWARD\niptables -A FORWARD -s 192.168.0.0/24 -p tcp --dport 80 -j "
                "ACCEPT")
              .find("WIDER") != std::string::npos);
}
