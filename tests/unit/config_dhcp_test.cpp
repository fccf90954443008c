// SPDX-License-Identifier: GPL-2.0-or-later
// [dhcp] as it is read, and what it says against the rest of the file.
#include "config_cases.h"
#include "core/config_check.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using namespace std::chrono_literals;

// Lines 6 to 9 of most cases.
const std::string range = "[dhcp]\n"
                          "[[dhcp.range]]\n"
                          "first = \"192.168.0.10\"\n"
                          "last = \"192.168.0.99\"\n";

// Lines 1 to 6: with a network of each family.
const std::string networked = "[lan]\n"
                              "interfaces = [\"eth0\", \"eth5\"]\n"
                              "networks = [\"192.168.0.0/24\", \"2001:db8:a::/64\"]\n" +
                              least.substr(28);

std::vector<std::string> check_errors(const std::string& text) {
    return lines_of(check_config(good_config(text), "f.toml"));
}

void check_found(const std::vector<ConfigCase>& cases) {
    for (const ConfigCase& item : cases) {
        INFO(item.text);
        CHECK(check_errors(item.text) == item.errors);
    }
}

IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

std::string host(const std::string& mac, const std::string& where, const std::string& name = "") {
    return "[[dhcp.host]]\nmac = \"" + mac + "\"\naddress = \"" + where + "\"\n" +
           (name.empty() ? "" : "name = \"" + name + "\"\n");
}

} // namespace

TEST_CASE("config dhcp: without the section there is none") {
    CHECK_FALSE(good_config(least).dhcp);
}

TEST_CASE("config dhcp: what is not written") {
    const DhcpConfig dhcp = good_config(least + range).dhcp.value();
    CHECK(dhcp.server == DhcpServer::dnsmasq);
    CHECK(dhcp.lease_time == 12h);
    CHECK_FALSE(dhcp.max_lease_time);
    CHECK_FALSE(dhcp.domain);
    CHECK(dhcp.dns_servers.empty());
    CHECK_FALSE(dhcp.file);
    CHECK(dhcp.ranges == std::vector{DhcpRangeConfig{
                             std::nullopt, address("192.168.0.10"), address("192.168.0.99"), {}}});
    CHECK(dhcp.hosts.empty());
    CHECK_FALSE(dhcp.ipv6);
    CHECK(serves_dns(dhcp));
}

TEST_CASE("config dhcp: what is written") {
    const DhcpConfig dhcp = good_config(least + R"([dhcp]
server = "kea"
lease_time = "30m"
max_lease_time = "1h"
domain = "minharede.intranet."
dns_servers = ["200.202.93.75", "2001:db8::53"]
file = "/etc/kea"
[[dhcp.range]]
interface = "eth0"
first = "192.168.0.10"
last = "192.168.0.250"
router = "192.168.0.2"
[[dhcp.host]]
mac = "02:00:00:0A:bC:10"
address = "192.168.0.20"
name = "printer-2"
[dhcp.ipv6]
mode = "managed"
)")
                                .dhcp.value();
    CHECK(dhcp.server == DhcpServer::kea);
    CHECK(dhcp.lease_time == 30min);
    CHECK(dhcp.max_lease_time == 1h);
    CHECK(dhcp.domain == "minharede.intranet");
    CHECK(dhcp.dns_servers == std::vector{address("200.202.93.75"), address("2001:db8::53")});
    CHECK(dhcp.file == "/etc/kea");
    CHECK(dhcp.ranges ==
          std::vector{DhcpRangeConfig{"eth0", address("192.168.0.10"), address("192.168.0.250"),
                                      address("192.168.0.2")}});
    CHECK(dhcp.hosts == std::vector{DhcpHostConfig{
                            {2, 0, 0, 0x0a, 0xbc, 0x10}, address("192.168.0.20"), "printer-2"}});
    CHECK(dhcp.ipv6 == AdvertisementMode::managed);
    CHECK_FALSE(serves_dns(dhcp));
}

TEST_CASE("config dhcp: dnsmasq is the LAN's DNS server unless others are named") {
    CHECK_FALSE(
        serves_dns(good_config(least + "[dhcp]\ndns_servers = [\"192.0.2.1\"]\n" + range.substr(7))
                       .dhcp.value()));
    CHECK_FALSE(serves_dns(
        good_config(least + "[dhcp]\nserver = \"kea\"\n" + range.substr(7)).dhcp.value()));
}

TEST_CASE("config dhcp: wrong values of the section") {
    check_cases({
        {least + "[dhcp]\nserver = \"isc\"\n",
         {R"(7:10: server: expected "dnsmasq" or "kea", found "isc")"}},
        {least + "[dhcp]\nlease_time = \"1m\"\n",
         {R"(7:14: lease_time: expected a duration from "2m" to "8760h", with the unit ms, s, m or h, found "1m")"}},
        {least + "[dhcp]\ndomain = \".\"\n",
         {R"(7:10: domain: expected a domain name as "example.lan", found ".")"}},
        {least + "[dhcp]\nfile = \"linkbal.conf\"\n",
         {R"(7:8: file: expected an absolute path without blanks and without a "/" at its end, found "linkbal.conf")"}},
        {least + "[dhcp]\nfile = \"/etc/kea/\"\n",
         {R"(7:8: file: expected an absolute path without blanks and without a "/" at its end, found "/etc/kea/")"}},
        {least + "[dhcp]\ndns_servers = [\"192.0.2.1\", \"127.0.0.1\"]\n",
         {R"(7:29: dns_servers: expected the address of a host, found "127.0.0.1")"}},
        {least + "[dhcp]\nrange = 7\n", {"7:9: range: expected [[dhcp.range]] sections, found 7"}},
        {least + "[dhcp]\n[dhcp.ipv6]\n",
         {R"(7:1: mode is missing: expected "slaac" or "stateless" or "managed")"}},
        {least + "[dhcp.ipv6]\nmode = \"ra\"\n",
         {R"(7:8: mode: expected "slaac" or "stateless" or "managed", found "ra")"}},
        {least + "[dhcp]\nleasetime = \"1h\"\n",
         {R"(7:1: unknown key "leasetime", did you mean lease_time?)"}},
    });
}

TEST_CASE("config dhcp: wrong ranges and static leases") {
    const std::string mac = R"(expected the MAC address of a host as "02:00:00:00:00:10", found )";
    const std::string name = "name: expected a host's name without its domain: letters, digits and "
                             "\"-\", and neither a time nor \"infinite\" nor \"ignore\", found ";
    check_cases({
        {least + "[[dhcp.range]]\nlast = \"192.168.0.9\"\n",
         {"6:1: first is missing: expected the address of a host"}},
        {least + "[[dhcp.range]]\nfirst = \"fe80::1\"\nlast = \"239.0.0.1\"\n",
         {R"(7:9: first: expected the address of a host, found "fe80::1")",
          R"(8:8: last: expected the address of a host, found "239.0.0.1")"}},
        {least + range + "router = \"2001:db8::1\"\n",
         {R"(10:10: router: expected the IPv4 address of a router, found "2001:db8::1")"}},
        {least + range + "[[dhcp.host]]\naddress = \"192.168.0.20\"\n",
         {R"(10:1: mac is missing: expected the MAC address of a host as "02:00:00:00:00:10")"}},
        {least + range + host("02:00:00:00:00", "192.168.0.20"),
         {"11:7: mac: " + mac + "\"02:00:00:00:00\""}},
        {least + range + host("02:00:00:00:00:1g", "192.168.0.20"),
         {"11:7: mac: " + mac + "\"02:00:00:00:00:1g\""}},
        {least + range + host("02-00-00-00-00-10", "192.168.0.20"),
         {"11:7: mac: " + mac + "\"02-00-00-00-00-10\""}},
        {least + range + host("03:00:00:00:00:10", "192.168.0.20"),
         {"11:7: mac: " + mac + "\"03:00:00:00:00:10\""}},
        {least + range + host("00:00:00:00:00:00", "192.168.0.20"),
         {"11:7: mac: " + mac + "\"00:00:00:00:00:00\""}},
        {least + range + host("02:00:00:00:00:10", "192.168.0.20", "a.b"),
         {"13:8: " + name + "\"a.b\""}},
        {least + range + host("02:00:00:00:00:10", "192.168.0.20", "12h"),
         {"13:8: " + name + "\"12h\""}},
        {least + range + host("02:00:00:00:00:10", "192.168.0.20", "ignore"),
         {"13:8: " + name + "\"ignore\""}},
    });
    CHECK(parse_errors(least + range + host("02:00:00:00:00:10", "192.168.0.20", "3d-printer"))
              .empty());
}

// Whoever wrote the configuration file must not be able to say more than it has words for.
TEST_CASE("config dhcp: nothing can be smuggled into the servers' files") {
    for (const std::string evil :
         {"a\\ndhcp-script=/bin/sh", "a,b", "a#b", "a b", "a\\\"b", "a/b/#", "*", "a;b", "a}b"}) {
        INFO(evil);
        CHECK(parse_errors(least + "[dhcp]\ndomain = \"" + evil + "\"\n").size() == 1);
        CHECK(
            parse_errors(least + range + host("02:00:00:00:00:10", "192.168.0.20", evil)).size() ==
            1);
        CHECK(parse_errors(least + range + host("02:00:00:00:00:10", evil)).size() == 1);
        CHECK(parse_errors(least + range + host(evil, "192.168.0.20")).size() == 1);
        CHECK(parse_errors(least + "[dhcp]\ndns_servers = [\"" + evil + "\"]\n").size() == 1);
        CHECK(parse_errors(least + range + "router = \"" + evil + "\"\n").size() == 1);
    }
    CHECK(parse_errors(least + "[dhcp]\nfile = \"/etc/a\\nb\"\n").size() == 1);
}

TEST_CASE("config dhcp check: names of interfaces that dnsmasq would take for others") {
    for (const std::string evil : {"eth*", "a,b", "a\\\"b", "a#b", "a;b", "a{b"}) {
        const auto errors = check_errors("[lan]\ninterfaces = [\"eth0.7-a_b\", \"" + evil +
                                         "\"]\n" + least.substr(28) + range);
        REQUIRE(errors.size() == 1);
        CHECK(errors.front() ==
              R"(2:29: interfaces: expected a name of letters, digits, ".", "_" and "-", )"
              "because [dhcp] serves it, found \"" +
                  evil + "\"");
    }
}

TEST_CASE("config dhcp check: the section against itself") {
    check_found({
        {least + range, {}},
        {least + "[dhcp]\n",
         {"6:1: range is missing: expected one [[dhcp.range]] section or more"}},
        {least + "[dhcp]\nserver = \"kea\"\n" + range.substr(7),
         {"7:10: dns_servers is missing: expected some, because Kea does not answer DNS queries, "
          "as "
          "dnsmasq does"}},
        {least + "[dhcp]\nserver = \"kea\"\ndns_servers = [\"192.0.2.1\"]\n" + range.substr(7), {}},
        {least + "[dhcp]\nlease_time = \"2h\"\nmax_lease_time = \"119m\"\n" + range.substr(7),
         {"8:18: max_lease_time: expected no less than lease_time, 7200 s, found 7140 s"}},
        {least + "[dhcp]\nlease_time = \"2h\"\nmax_lease_time = \"120m\"\n" + range.substr(7), {}},
    });
}

TEST_CASE("config dhcp check: ranges") {
    const std::string six = "[[dhcp.range]]\nfirst = \"2001:db8:a::1000\"\n"
                            "last = \"2001:db8:a::1fff\"\n";
    const std::string managed = "[dhcp.ipv6]\nmode = \"managed\"\n";
    check_found({
        {least + range + "interface = \"eth0\"\n", {}},
        {least + range + "interface = \"eth1\"\n",
         {"10:13: interface: expected one of [lan] (eth0), found \"eth1\""}},
        {least + "[[dhcp.range]]\nfirst = \"192.168.0.20\"\nlast = \"192.168.0.19\"\n",
         {"8:8: last: expected an address not below first, 192.168.0.20, found 192.168.0.19"}},
        {least + "[[dhcp.range]]\nfirst = \"192.168.0.20\"\nlast = \"192.168.0.20\"\n", {}},
        {least + "[[dhcp.range]]\nfirst = \"192.168.0.20\"\nlast = \"2001:db8::1\"\n",
         {"8:8: last: expected an IPv4 address, like first, found 2001:db8::1"}},
        {least + range +
             "[[dhcp.range]]\nfirst = \"192.168.0.99\"\nlast = \"192.168.0.120\"\n"
             "[[dhcp.range]]\nfirst = \"192.168.0.2\"\nlast = \"192.168.0.10\"\n",
         {"11:9: first: expected ranges that do not overlap, found 192.168.0.99 - 192.168.0.120 "
          "beside 192.168.0.10 - 192.168.0.99",
          "14:9: first: expected ranges that do not overlap, found 192.168.0.2 - 192.168.0.10 "
          "beside 192.168.0.10 - 192.168.0.99"}},
        {least + range + "[[dhcp.range]]\nfirst = \"192.168.0.100\"\nlast = \"192.168.0.120\"\n",
         {}},
        {least + range + "router = \"192.168.0.50\"\n",
         {"10:10: router: expected an address that is not given away, found 192.168.0.50, which is "
          "in the range 192.168.0.10 - 192.168.0.99"}},
        {least + range + six,
         {"11:9: first: expected an IPv4 address, because only the mode \"managed\" of [dhcp.ipv6] "
          "gives others away, found 2001:db8:a::1000"}},
        {least + range + six + managed, {}},
        {least + range + six + "router = \"192.168.0.1\"\n" + managed,
         {"13:10: router: expected none beside IPv6 addresses, whose router advertises itself, "
          "found 192.168.0.1"}},
    });
}

TEST_CASE("config dhcp check: ranges and the networks of the LAN") {
    check_found({
        {networked + range + "router = \"192.168.0.1\"\n", {}},
        {networked + "[[dhcp.range]]\nfirst = \"192.168.1.10\"\nlast = \"192.168.1.99\"\n",
         {"8:9: first: expected an address in a network of [lan] (192.168.0.0/24), found "
          "192.168.1.10"}},
        {networked + "[[dhcp.range]]\nfirst = \"192.168.0.10\"\nlast = \"192.168.1.99\"\n",
         {"9:8: last: expected an address in 192.168.0.0/24, like first, found 192.168.1.99"}},
        {networked + range + "router = \"192.168.1.1\"\n",
         {"11:10: router: expected an address in 192.168.0.0/24, like the range, found "
          "192.168.1.1"}},
    });
}

TEST_CASE("config dhcp check: static leases") {
    const std::string one = host("02:00:00:00:00:10", "192.168.0.20", "printer");
    check_found({
        {networked + range + one + host("02:00:00:00:00:11", "192.168.0.21", "door"), {}},
        {networked + range + one + host("02:00:00:00:00:10", "192.168.0.21"),
         {"16:7: mac: expected one that no other [[dhcp.host]] has, found 02:00:00:00:00:10, which "
          "number 1 has"}},
        {networked + range + one + host("02:00:00:00:00:11", "192.168.0.20"),
         {"17:11: address: expected one that no other [[dhcp.host]] has, found 192.168.0.20, which "
          "number 1 has"}},
        {networked + range + one + host("02:00:00:00:00:11", "192.168.0.21", "Printer"),
         {"18:8: name: expected one that no other [[dhcp.host]] has, found Printer, which number 1 "
          "has"}},
        {networked + range + host("02:00:00:00:00:10", "192.168.1.20"),
         {"13:11: address: expected one in a network of [lan] (192.168.0.0/24), found "
          "192.168.1.20"}},
        {networked + range + "router = \"192.168.0.1\"\n" +
             host("02:00:00:00:00:10", "192.168.0.1"),
         {"14:11: address: expected one of a host, found 192.168.0.1, which is the router's"}},
        {networked + range + host("02:00:00:00:00:10", "2001:db8:a::20"),
         {"13:11: address: expected an IPv4 address, because only the mode \"managed\" of "
          "[dhcp.ipv6] gives others away, found 2001:db8:a::20"}},
        // A host's addresses of both families.
        {networked + range + one + host("02:00:00:00:00:10", "2001:db8:a::20", "printer") +
             "[dhcp.ipv6]\nmode = \"managed\"\n",
         {}},
    });
}
