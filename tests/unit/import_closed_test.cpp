// SPDX-License-Identifier: GPL-2.0-or-later
// What a script closes an imported configuration does not open: a rule that cannot be followed exactly
// is left.
#include "import_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const std::string answers = "covered: answers and what belongs to a connection are accepted";
const std::string opens_nothing =
    "left: packets in these states open no connection, and others [firewall] lets in by itself";
const std::string taken = "taken: [[firewall.allow]]";
const std::string no_marks =
    "left: [firewall] asks for no marks, fragments or shares of the packets";
const std::string in_any_way =
    "left: [firewall] lets 203.0.113.0/24 in whichever way it comes, not only by ";
const std::string nothing = "ping = []\nlog = []\n";

// Nothing of these may be in the configuration.
const std::vector<ImportCase> input_cases{
    {"iptables -A INPUT -m state --state established,related -j ACCEPT", answers, nothing},
    {"iptables -A INPUT -m state --state Established -p tcp --dport 22 -j ACCEPT", answers,
     nothing},
    {"iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT", opens_nothing,
     nothing},
    {"iptables -A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT", opens_nothing, nothing},
    {"iptables -A INPUT -m state --state INVALID -j ACCEPT", opens_nothing, nothing},
    {"iptables -A INPUT -m conntrack --ctstate NEW,OTHER -j ACCEPT",
     "left: \"--ctstate NEW,OTHER\" is not understood", nothing},
    {"iptables -A INPUT -m state --state ESTABLISHED -m conntrack --ctstate NEW -j ACCEPT",
     "left: \"--ctstate NEW\" is not understood", nothing},
    {"iptables -A INPUT -p tcp --syn -m state --state ESTABLISHED -j ACCEPT", answers, nothing},
    {"iptables -A INPUT -f -j ACCEPT", no_marks, nothing},
    {"iptables -A INPUT -m statistic --mode random --probability 0.5 -j ACCEPT", no_marks, nothing},
    {"iptables -A INPUT -m mark --mark 7 -j ACCEPT", no_marks, nothing},
    {"iptables -A INPUT -m mark --mark 7 -p tcp --dport 22 -j ACCEPT", no_marks, nothing},
    {"iptables -A INPUT -m mark --mark 7 -p icmp --icmp-type 8 -j ACCEPT", no_marks, nothing},
    {"iptables -A INPUT --dport 22 -j ACCEPT",
     "left: [firewall] lets in services of TCP and UDP, and few other protocols", nothing},
    {"iptables -A INPUT -i eth0 -p tcp --dport 22 -s 203.0.113.0/24 -j ACCEPT", in_any_way + "eth0",
     nothing},
    {"iptables -A INPUT -i eth1 -p tcp --dport 22 -s 203.0.113.0/24 -j ACCEPT", in_any_way + "eth1",
     nothing},
    {"iptables -A INPUT -i eth1 -p icmp -s 203.0.113.0/24 -j ACCEPT", in_any_way + "eth1", nothing},
    {"iptables -A INPUT -i eth0 -p tcp --dport 22 -m hashlimit --hashlimit-upto 10/hour "
     "--hashlimit-mode srcip --hashlimit-name ssh -j ACCEPT",
     "left: a rate is of what is not from the LAN", nothing},
};

// Of these some may.
const std::vector<ImportCase> exact_cases{
    {"iptables -A INPUT -m state --state new -p tcp --dport 22 -j ACCEPT",
     "taken: [[firewall.allow]]", "from = [\"lan\", \"uplinks\"]\n"},
    {"iptables -A INPUT -i eth0 -p tcp --dport 22 -s 192.168.0.8/29 -j ACCEPT",
     "taken: [[firewall.allow]]", "from = [\"192.168.0.8/29\"]\n"},
    {"iptables -A INPUT -i eth0 -p tcp --dport 22 -s 192.168.0.0/24 -j ACCEPT",
     "taken: [[firewall.allow]]", "from = [\"lan\"]\n"},
    {"iptables -A INPUT -p tcp --dport 22 -s 203.0.113.0/24 -j ACCEPT", "taken: [[firewall.allow]]",
     "from = [\"203.0.113.0/24\"]\n"},
    {"iptables -A INPUT -p tcp --dport 22 -j ACCEPT\niptables -A INPUT -i eth1 -j DROP",
     "covered: what nothing accepts is dropped", ""},
    {"iptables -A INPUT -p tcp --dport 22 -j ACCEPT\niptables -I INPUT -i eth1 -j DROP",
     "covered: what nothing accepts is dropped", "from = [\"lan\"]\n"},
    {"iptables -A INPUT -i eth1 -s 224.0.0.0/3 -j LOG",
     "differs: logged, in lines that begin with \"linkbal spoofed: \"", "log = [\"spoofed\"]"},
    {"iptables -A FORWARD -i eth1 -f -j DROP", "covered: what nothing accepts is dropped", ""},
};

// What an earlier rule refuses some of is not opened there.
const std::string refused =
    "left: an earlier rule refuses some of it, and [firewall] cannot take out some";
const std::string only_lan = "differs: only from the LAN: an earlier rule refuses others";
const std::string only_uplinks = "differs: only from the uplinks: an earlier rule refuses others";
const std::string ssh_rule = "\niptables -A INPUT -p tcp --dport 22 -j ACCEPT";
const std::string from_lan = "from = [\"lan\"]\n";
const std::string from_all = "from = [\"lan\", \"uplinks\"]\n";
const std::vector<ImportCase> refused_cases{
    {"iptables -A INPUT -i eth1 -p tcp --dport 22 -j DROP" + ssh_rule, only_lan, from_lan},
    {"iptables -A INPUT -i eth1 -j REJECT\niptables -A INPUT -i eth2 -j REJECT" + ssh_rule,
     only_lan, from_lan},
    {"iptables -A INPUT -s 203.0.113.9 -j DROP" + ssh_rule, only_lan, from_lan},
    {"iptables -A INPUT -i eth0 -p tcp --dport 20:30 -j DROP" + ssh_rule, only_uplinks,
     "from = [\"uplinks\"]\n"},
    {"iptables -A INPUT -s 192.168.0.66 -j DROP" + ssh_rule, only_uplinks,
     "from = [\"uplinks\"]\n"},
    {"iptables -A INPUT -i eth0 -s 192.168.0.66 -j DROP\niptables -A INPUT -i eth0 -p tcp --dport "
     "22 -j ACCEPT",
     refused, nothing},
    {"iptables -A INPUT -i eth1 -j DROP\niptables -A INPUT -s 192.168.0.66 -j DROP" + ssh_rule,
     refused, nothing},
    {"iptables -A INPUT -p tcp --dport 22 -m recent --update --seconds 60 --hitcount 4 -j DROP" +
         ssh_rule,
     refused, nothing},
    {"iptables -A INPUT -p tcp -m limit --limit 3/min -j DROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT ! -i eth0 -j DROP" + ssh_rule, only_lan, from_lan},
    {"iptables -A INPUT ! -i eth1 -j DROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -i eth1 -m state ! --state ESTABLISHED,RELATED -j DROP" + ssh_rule,
     only_lan, from_lan},
    {"iptables -A INPUT -m state ! --state ESTABLISHED,RELATED -j DROP" + ssh_rule, refused,
     nothing},
    {"iptables -A INPUT -m state ! --state INVALID -j DROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -p tcp ! -f -j DROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -p tcp ! --tcp-flags ACK ACK -j DROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -i eth+ -s 192.168.0.66 -j DROP\niptables -A INPUT -i eth0 -p tcp --dport "
     "22 -j ACCEPT",
     refused, nothing},
    {"iptables -A INPUT -s 192.168.7.0/24 -j DROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -p tcp --dport 22 -g blocked" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -p tcp --dport=22 --jump=DROP" + ssh_rule, refused, nothing},
    {"iptables -AINPUT -ptcp --dport 22 -jDROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -p tcp --dport 22 -j RETURN" + ssh_rule, refused, nothing},
    {"iptables -t raw -A PREROUTING -s 203.0.113.9 -j DROP" + ssh_rule, only_lan, from_lan},
    {"iptables -t mangle -A INPUT -p tcp -m recent --rcheck -j DROP" + ssh_rule, refused, nothing},
    {"iptables -t nat -A PREROUTING -i eth1 -p tcp --dport 22 -j DNAT --to 192.168.0.10" + ssh_rule,
     only_lan, from_lan},
    {"iptables -t nat -A PREROUTING -d 192.168.1.2 -p tcp --dport 22 -j DNAT --to 192.168.0.10" +
         ssh_rule,
     only_lan, from_lan},
    {"iptables -N bad\niptables -A bad -s 203.0.113.9 -j DROP\niptables -A INPUT -p tcp -j bad" +
         ssh_rule,
     refused, nothing},
    {"iptables -A INPUT -s ! 192.168.0.0/24 -j DROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -p ! udp -j DROP" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -p tcp -j scanners" + ssh_rule, refused, nothing},
    {"iptables -A INPUT -s 203.0.113.64/26 -j DROP\niptables -A INPUT -p tcp --dport 22 -s "
     "203.0.113.0/24 -j ACCEPT",
     refused, nothing},
    {"iptables -A INPUT -i eth1 -p icmp -j DROP\niptables -A INPUT -p icmp --icmp-type 8 -j ACCEPT",
     "differs: only from the LAN: an earlier rule refuses others", "ping = [\"lan\"]\n"},
    // These refuse nothing of it.
    {"iptables -A INPUT -p udp --dport 22 -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -p tcp --dport 23 -j DROP" + ssh_rule, taken, from_all},
    {"ip6tables -A INPUT -i eth1 -p tcp --dport 23 -j DROP\nip6tables -A INPUT -p tcp --dport 22 "
     "-j ACCEPT" +
         ssh_rule,
     taken, from_all},
    {"iptables -A INPUT -m state --state INVALID -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -i eth1 -s 10.0.0.0/8 -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -i eth1 -f -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -p tcp ! --syn -m state --state NEW -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -p tcp --tcp-flags ALL NONE -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -p tcp --tcp-flags SYN,FIN SYN,FIN -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -p tcp --tcp-flags ALL ALL -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -p tcp --tcp-flags SYN,RST,ACK,FIN SYN -j DROP" + ssh_rule, refused,
     nothing},
    {"iptables -A INPUT -p tcp --dport 22 -m recent --set" + ssh_rule, taken, from_all},
    {"iptables -A INPUT ! -i lo -d 127.0.0.0/8 -j REJECT" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -p igmp -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -i tun0 -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -p tcp ! --tcp-flags SYN,RST,ACK SYN -m state --state NEW -j DROP" +
         ssh_rule,
     taken, from_all},
    {"iptables -N bad\niptables -A bad -p tcp ! --syn -m state --state NEW -j DROP\n"
     "iptables -A bad -j RETURN\niptables -A INPUT -p tcp -j bad" +
         ssh_rule,
     taken, from_all},
    {"iptables -A INPUT -s 203.0.113.9 -j DROP\niptables -A INPUT -i eth0 -p tcp --dport 22 -j "
     "ACCEPT",
     taken, from_lan},
    {"iptables -A INPUT ! -i eth0 -j DROP\niptables -A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT",
     taken, from_lan},
    {"iptables -A INPUT -p icmp --icmp-type timestamp-request -j DROP\niptables -A INPUT -i eth0 "
     "-p icmp -j ACCEPT",
     "differs: ping; of ICMP's requests no others", "ping = [\"lan\"]\n"},
    {"iptables -w 5 -A INPUT -p tcp --dport 22 -j ACCEPT", taken, from_all},
    {"iptables -A INPUT -p gre -j DROP" + ssh_rule, taken, from_all},
    {"iptables -A INPUT -i eth1 -p gre -j DROP\niptables -A INPUT -p 47 -j ACCEPT", only_lan,
     "service = [\"gre\"]\nfrom = [\"lan\"]\n"},
    {"iptables -A INPUT -p esp -s 203.0.113.9 -j ACCEPT", taken,
     "service = [\"esp\"]\nfrom = [\"203.0.113.9/32\"]\n"},
    {"iptables -A INPUT -p esp -m limit --limit 3/min -j ACCEPT",
     "left: [firewall] lets in services of TCP and UDP, and few other protocols", nothing},
    {"iptables -A INPUT -p tcp --dport 22 -j LOG" + ssh_rule, taken, from_all},
    // What begins no connection.
    {"iptables -A INPUT -p tcp ! --syn -j ACCEPT", answers, nothing},
    {"iptables -A INPUT -p tcp ! --syn -m state --state NEW -j DROP",
     "differs: such packets begin no connection; not all of them are dropped", nothing},
};

// Rules that are gone, or others, in the end.
const std::string own_table =
    "covered: linkbal has a table of its own, which it replaces as a whole";
const std::string one_ssh = "iptables -A INPUT -p tcp --dport 22 -j ACCEPT\n";
const std::vector<ImportCase> removed_cases{
    {one_ssh + "iptables -D INPUT 1", own_table, nothing},
    {one_ssh + "iptables -D INPUT -p tcp -m tcp --destination-port ssh --jump ACCEPT", own_table,
     nothing},
    {one_ssh + "iptables -D INPUT -p udp --dport 22 -j ACCEPT", "left: the chain has no such rule",
     from_all},
    {one_ssh + "iptables -R INPUT 1 -p tcp --dport 22 -j DROP",
     "covered: what nothing accepts is dropped", nothing},
    {one_ssh + "iptables -R INPUT 2 -p tcp --dport 22 -j DROP", "left: the chain has no such rule",
     from_all},
};

const std::string alike =
    "[firewall] lets a service in by IPv4 and IPv6 alike, and the script does not";
const std::string closed6 = "ip6tables -P INPUT DROP\nip6tables -P FORWARD DROP\n";
const std::string ssh = " -A INPUT -p tcp --dport 22 -j ACCEPT\n";
const std::string lan_ssh = " -A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT\n";
const std::vector<ImportCase> family_cases{
    {"ip6tables" + ssh, "left: " + alike, nothing},
    {closed6 + "ip6tables" + ssh, "left: " + alike, nothing},
    {closed6 + "iptables" + ssh, "left: " + alike, nothing},
    {"ip6tables -A INPUT -p tcp --dport 80 -j DROP\niptables" + ssh, "left: " + alike, nothing},
    {"ip6tables -A INPUT -p ipv6-icmp --icmpv6-type 128 -j ACCEPT",
     "left: [firewall] lets ping in by IPv4 and IPv6 alike, and the script does not", nothing},
    {"iptables" + ssh, "taken: [[firewall.allow]]", "from = [\"lan\", \"uplinks\"]\n"},
    {closed6 + "iptables" + ssh + "ip6tables" + ssh, "taken: [[firewall.allow]]",
     "from = [\"lan\", \"uplinks\"]\n"},
    {closed6 + "ip6tables" + lan_ssh + "iptables" + ssh,
     "differs: " + alike + ": only from the LAN", "from = [\"lan\"]\n"},
    {closed6 + "ip6tables -A INPUT -s 2001:db8::/32 -p tcp --dport 22 -j ACCEPT",
     "taken: [[firewall.allow]]", "from = [\"2001:db8::/32\"]\n"},
};

const std::string guests = "iptables -A INPUT -i eth3 -p udp --dport 67 -j ACCEPT\n";
const std::string two_lans =
    "iptables -A FORWARD -i eth3 -s 192.168.0.0/24 -j ACCEPT\niptables" + lan_ssh;
const std::vector<ImportCase> lan_cases{
    {two_lans, "left: [firewall] lets a service in from the whole LAN or not at all", nothing},
    {two_lans + "iptables -A INPUT -i eth3 -p tcp --dport 22 -j ACCEPT",
     "taken: [[firewall.allow]]", "from = [\"lan\"]\n"},
    {guests + "iptables -A INPUT -s 192.168.0.0/24 -p tcp --dport 22 -j ACCEPT",
     "taken: [[firewall.allow]]", "interfaces = [\"eth0\"]\n"},
    {"iptables -A FORWARD -i eth3 -m state --state ESTABLISHED -j ACCEPT", answers,
     "interfaces = [\"eth0\"]\n"},
    {"iptables -A FORWARD -i eth0 -o eth3 -j ACCEPT", "covered: an earlier rule has accepted it",
     "interfaces = [\"eth0\"]\n"},
    {"iptables -A FORWARD -i eth3 -s 192.168.5.0/24 -o eth1 -j ACCEPT",
     "covered: the LAN gets everywhere", "WIDER THAN THE SCRIPT: hosts behind eth3"},
};

const std::string not_accepted =
    "left: no rule of FORWARD accepts what it would forward, or an earlier one refuses some of it";
const std::string taken_before = "left: an earlier rule of PREROUTING takes some of it";
const std::string no_states =
    "left: a [[forward]] asks for no states, marks, fragments or shares of the packets";
const std::string accept = "iptables -A FORWARD -p tcp -d 192.168.0.10 ";
const std::string dnat = "iptables -t nat -A PREROUTING -p tcp ";
const std::string to_host = " -j DNAT --to 192.168.0.10";
const std::string web = accept + "--dport 80 -j ACCEPT\n";
const std::string open_host = accept + "-j ACCEPT\n";
const std::vector<ImportCase> forward_cases{
    {web + dnat + "-i eth1 -m mark --mark 7 --dport 80" + to_host, no_states, nothing},
    {web + dnat + "-i eth1 -m state --state ESTABLISHED --dport 80" + to_host, no_states, nothing},
    {web + dnat + "-i eth1 -m statistic --mode nth --every 2 --dport 80" + to_host, no_states,
     nothing},
    {accept + "-m mark --mark 7 -j ACCEPT\n" + dnat + "-i eth1 --dport 80" + to_host, not_accepted,
     nothing},
    {accept + "-m limit --limit 3/min -j ACCEPT\n" + dnat + "-i eth1 --dport 80" + to_host,
     not_accepted, nothing},
    {accept + "-m state --state established,related -j ACCEPT\n" + dnat + "-i eth1 --dport 80" +
         to_host,
     not_accepted, nothing},
    {accept + "-m state --state INVALID -j ACCEPT\n" + dnat + "-i eth1 --dport 80" + to_host,
     not_accepted, nothing},
    {web + dnat + "-i eth1 --dport 80:90" + to_host, not_accepted, nothing},
    {web + dnat + "-i eth1 -m multiport --dports 80,81" + to_host, not_accepted, nothing},
    {open_host + dnat + "-i eth1 --dport 80:90" + to_host + ":80",
     "left: there are not as many ports", nothing},
    {open_host + dnat + "-i eth1 --dport 80" + to_host + ":80-90",
     "left: there are not as many ports", nothing},
    {open_host + dnat + "-i eth1 -m multiport --dports 80,81" + to_host + ":8080",
     "taken: [[forward]]", "port = 81\nto = \"192.168.0.10:8080\""},
    {accept + "-s 203.0.113.0/28 -j ACCEPT\n" + dnat + "-i eth1 -s 203.0.113.0/24 --dport 80" +
         to_host,
     "taken: [[forward]]", "from = [\"203.0.113.0/28\"]"},
    {accept + "-s 203.0.113.0/24 -j ACCEPT\n" + dnat + "-i eth1 -s 203.0.113.0/28 --dport 80" +
         to_host,
     "taken: [[forward]]", "from = [\"203.0.113.0/28\"]"},
    {accept + "-s 198.51.100.0/24 -j ACCEPT\n" + dnat + "-i eth1 -s 203.0.113.0/24 --dport 80" +
         to_host,
     not_accepted, nothing},
    {accept + "-i eth1 -j ACCEPT\n" + dnat + "--dport 80" + to_host,
     "differs: [[forward]]; only of what is for an uplink's address", "uplinks = [\"t1\"]\n"},
    {accept + "-i eth1 -j ACCEPT\n" + accept + "-i eth2 -j ACCEPT\n" + dnat + "--dport 80" +
         to_host,
     "differs: [[forward]]; only of what is for an uplink's address",
     "to = \"192.168.0.10\"\nhairpin = false\n"},
    {accept + "-i eth2 -j ACCEPT\n" + dnat + "-i eth1 --dport 80" + to_host, not_accepted, nothing},
    {accept + "-i eth0 -j ACCEPT\n" + dnat + "--dport 80" + to_host, not_accepted, nothing},
    {accept + "-i eth1 -s 203.0.113.0/24 -j ACCEPT\n" + accept +
         "-i eth2 -s 198.51.100.0/24 -j ACCEPT\n" + dnat + "--dport 80" + to_host,
     not_accepted, nothing},
    {"iptables -A FORWARD -s 203.0.113.9 -j DROP\n" + open_host + dnat + "-i eth1 --dport 80" +
         to_host,
     not_accepted, nothing},
    {"iptables -A FORWARD -p tcp -m recent --rcheck -j DROP\n" + open_host + dnat +
         "-i eth1 --dport 80" + to_host,
     not_accepted, nothing},
    {"iptables -A FORWARD -s 203.0.113.9 -p tcp --dport 25 -j DROP\n" + open_host + dnat +
         "-i eth1 --dport 80" + to_host,
     "taken: [[forward]]", "port = 80\n"},
    {open_host + "iptables -t nat -A PREROUTING -i eth1 -s 203.0.113.0/24 -j RETURN\n" + dnat +
         "-i eth1 --dport 80" + to_host,
     taken_before, nothing},
    {open_host + dnat + "-i eth1 --dport 80 -j DNAT --to 192.168.9.9\n" + dnat +
         "-i eth1 --dport 80" + to_host,
     taken_before, nothing},
    {open_host + dnat + "-i eth2 --dport 80 -j DNAT --to 192.168.9.9\n" + dnat +
         "-i eth1 --dport 80" + to_host,
     "taken: [[forward]]", "uplinks = [\"t1\"]\n"},
    {"iptables -A FORWARD -i eth2 -j DROP\n" + open_host + dnat + "-i eth1 --dport 80" + to_host,
     "taken: [[forward]]", "uplinks = [\"t1\"]\n"},
    {open_host + dnat + "-i eth1 -d 192.168.1.2 --dport 80" + to_host, "taken: [[forward]]",
     "uplinks = [\"t1\"]\n"},
    {open_host + dnat + "-i eth1 -d 192.168.2.2 --dport 80" + to_host,
     "left: a [[forward]] is for what comes by uplinks to their addresses", nothing},
};

const std::vector<ImportCase> lan_forward_cases{
    {"iptables -A FORWARD -m mark --mark 7 -p tcp -d 192.168.0.10 -j ACCEPT",
     "left: by uplinks nothing comes in but what a [[forward]] says", ""},
    {"iptables -I FORWARD -m mark --mark 7 -s 192.168.0.0/24 -p udp --dport 53 -j DROP",
     "left: [firewall] lets the LAN out to everywhere, whatever it asks for", "ping = []\nlog"},
};

void check_closed(const std::string& commands) {
    INFO(commands);
    const auto config = import_script(closed + commands).model.config;
    REQUIRE(config.firewall);
    CHECK((config.firewall->allow.empty() && config.firewall->ping.nobody()));
    CHECK(config.forwards.empty());
}

void check_nothing(const std::vector<ImportCase>& cases) {
    for (const ImportCase& item : cases) {
        if (item.written == nothing) {
            check_closed(item.commands);
        }
    }
    check_imports(closed, cases);
}

} // namespace

TEST_CASE("import: what opens nothing in the script opens nothing") { check_nothing(input_cases); }
TEST_CASE("import: what is opened is no more than the script opens") { check_nothing(exact_cases); }
TEST_CASE("import: what an earlier rule refuses some of") { check_nothing(refused_cases); }
TEST_CASE("import: rules that later commands remove") { check_nothing(removed_cases); }

// There is no [firewall] then, and FORWARD still says what is forwarded.
TEST_CASE("import: forwards where only FORWARD is closed, or nothing") {
    const std::string ssh_forward = dnat + "-i eth1 --dport 22" + to_host;
    const std::string from = accept + "-s 203.0.113.0/24 --dport 22 -j ACCEPT\n";
    check_imports(
        links, {{"iptables -P FORWARD DROP\n" + from + ssh_forward, "taken: [[forward]]",
                 "from = [\"203.0.113.0/24\"]\n"},
                {"iptables -P FORWARD DROP\n" + ssh_forward, not_accepted, ""},
                {"iptables -A FORWARD -s 203.0.113.0/24 -j DROP\n" + ssh_forward, not_accepted, ""},
                {ssh_forward, "taken: [[forward]]", "port = 22\n"}});
}

TEST_CASE("import: what is not followed may refuse something, and that is said") {
    const std::string note =
        "PERHAPS WIDER THAN THE SCRIPT: commands that are not followed may refuse";
    check_imports(closed, {{"if [ -f /x ]; then iptables -A INPUT -s 203.0.113.9 -j DROP; fi\n"
                            "iptables -A INPUT -p tcp --dport 22 -j ACCEPT",
                            taken, note}});
    CHECK(import_toml(import_script(closed + one_ssh), "x").find(note) == std::string::npos);
}

TEST_CASE("import: what one family opens stays closed in the other") {
    check_nothing(family_cases);
}
TEST_CASE("import: what one interface of the LAN opens stays closed to others") {
    check_nothing(lan_cases);
}
TEST_CASE("import: nothing is forwarded but what FORWARD accepts") { check_nothing(forward_cases); }
TEST_CASE("import: rules of the LAN that ask for marks") { check_nothing(lan_forward_cases); }

TEST_CASE("import: a whole chain is not one mark or state of it") {
    const auto has_firewall = [](const std::string& last) {
        return import_script(links + "iptables -P FORWARD DROP\niptables -P INPUT DROP\n" + last)
            .model.config.firewall.has_value();
    };
    CHECK_FALSE(has_firewall("iptables -A INPUT -j ACCEPT"));
    for (const std::string match :
         {"-m mark --mark 1", "-m state --state INVALID", "-f", "-m limit --limit 1/s",
          "--dport 22", "--sport 22", "-p tcp --syn", "-d 192.168.1.2"}) {
        INFO(match);
        CHECK(has_firewall("iptables -A INPUT " + match + " -j ACCEPT"));
    }
}
