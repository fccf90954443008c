// SPDX-License-Identifier: GPL-2.0-or-later
// What the servers are told, word by word, and [dhcp] against the addresses of a machine.
#include <nlohmann/json.hpp>

#include "config_cases.h"
#include "core/config_check_dhcp.h"
#include "core/dhcp/files.h"
#include "core/dhcp/lan.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const std::string signature_line = fmt::format("# {}\n", dhcp_signature);

// Lines 6 to 9.
const std::string range = "[dhcp]\n"
                          "[[dhcp.range]]\n"
                          "first = \"192.168.0.10\"\n"
                          "last = \"192.168.0.250\"\n";

InterfaceAddress own(std::string_view text, unsigned length) {
    const auto address = IpAddress::parse(text).value();
    return {address, length, std::nullopt, address.is_link_local()};
}

// Two LAN interfaces, the second with a small subnet, and an uplink.
Facts machine() {
    Facts facts;
    const auto add = [&](const std::string& name, std::vector<InterfaceAddress> addresses) {
        Interface interface;
        interface.name = name;
        interface.addresses = std::move(addresses);
        facts.interfaces.push_back(std::move(interface));
    };
    add("eth0", {own("192.168.0.1", 24), own("2001:db8:a::1", 64), own("fe80::1", 64)});
    add("eth5", {own("10.0.0.17", 28), own("10.0.0.18", 28)});
    add("eth1", {own("192.0.2.2", 24)});
    return facts;
}

std::vector<DhcpFile> files_of(const std::string& text) {
    const Config config = good_config(text);
    CHECK(lines_of(check_config(config, "f.toml")).empty());
    CHECK(lines_of(check_dhcp_system(config, machine(), "f.toml")).empty());
    return dhcp_files(config, machine());
}

std::string text_of_file(const std::string& text) {
    const auto files = files_of(text);
    REQUIRE(files.size() == 1);
    CHECK(is_signed(files[0].text));
    return files[0].text;
}

void check_found(const std::vector<ConfigCase>& cases) {
    for (const ConfigCase& item : cases) {
        INFO(item.text);
        CHECK(lines_of(check_dhcp_system(good_config(item.text), machine(), "f.toml")) ==
              item.errors);
    }
}

nlohmann::json parsed(const DhcpFile& file) {
    CHECK(is_signed(file.text));
    return nlohmann::json::parse(file.text, nullptr, true, true); // with comments
}

const std::string two_lans = "[lan]\ninterfaces = [\"eth0\", \"eth5\"]\n" + least.substr(28);
const std::string host = "[[dhcp.host]]\nmac = \"02:00:00:00:00:1A\"\naddress = ";
const std::string mode = "[dhcp.ipv6]\nmode = ";

} // namespace

TEST_CASE("dhcp: the least for dnsmasq, which is the LAN's DNS server then") {
    CHECK(text_of_file(least + range) == signature_line +
                                             "interface=eth0\n"
                                             "except-interface=lo\n"
                                             "bind-dynamic\n"
                                             "domain-needed\n"
                                             "bogus-priv\n"
                                             "no-hosts\n"
                                             "dhcp-name-match=set:wpad,wpad\n"
                                             "dhcp-ignore-names=tag:wpad\n"
                                             "dhcp-authoritative\n"
                                             "dhcp-range=set:range1,192.168.0.10,192.168.0.250,"
                                             "255.255.255.0,43200\n"
                                             "dhcp-option=tag:range1,option:router,192.168.0.1\n"
                                             "dhcp-option=tag:range1,option:dns-server,"
                                             "192.168.0.1\n");
}

TEST_CASE("dhcp: everything for dnsmasq, with DNS servers elsewhere") {
    const auto text = text_of_file(two_lans + R"([dhcp]
lease_time = "30m"
domain = "minharede.intranet"
dns_servers = ["200.202.93.75", "2001:db8::53", "200.202.93.76"]
[[dhcp.range]]
first = "192.168.0.10"
last = "192.168.0.20"
router = "192.168.0.2"
[[dhcp.range]]
interface = "eth5"
first = "10.0.0.20"
last = "10.0.0.30"
[[dhcp.host]]
mac = "02:00:00:00:00:1A"
address = "192.168.0.30"
name = "printer"
[[dhcp.host]]
mac = "02:00:00:00:00:1B"
address = "10.0.0.19"
[dhcp.ipv6]
mode = "slaac"
)");
    CHECK(text == signature_line + R"(interface=eth0
interface=eth5
except-interface=lo
bind-dynamic
port=0
domain=minharede.intranet
dhcp-option=option6:domain-search,minharede.intranet
dhcp-option=option:dns-server,200.202.93.75,200.202.93.76
dhcp-option=option6:dns-server,[2001:db8::53]
dhcp-authoritative
dhcp-range=set:range1,192.168.0.10,192.168.0.20,255.255.255.0,1800
dhcp-option=tag:range1,option:router,192.168.0.2
dhcp-host=02:00:00:00:00:1a,192.168.0.30,printer
dhcp-range=set:range2,10.0.0.20,10.0.0.30,255.255.255.240,1800
dhcp-option=tag:range2,option:router,10.0.0.17
dhcp-host=02:00:00:00:00:1b,10.0.0.19
enable-ra
dhcp-range=::,constructor:eth0,ra-only,1800
dhcp-range=::,constructor:eth5,ra-only,1800
)");
}

TEST_CASE("dhcp: queries for the LAN's own domain stay with dnsmasq") {
    const auto text = text_of_file(least + "[dhcp]\ndomain = \"a.lan\"\n" + range.substr(7));
    CHECK(text.find("\nlocal=/a.lan/\nexpand-hosts\n") != std::string::npos);
    CHECK(text.find("port=0") == std::string::npos);
}

TEST_CASE("dhcp: ways of advertising IPv6 with dnsmasq") {
    const auto ends_with = [](const std::string& text, const std::string& end) {
        INFO(text);
        CHECK(text.ends_with("option:dns-server,192.168.0.1\n" + end));
    };
    ends_with(text_of_file(least + range + mode + "\"stateless\"\n"),
              "enable-ra\ndhcp-range=::,constructor:eth0,ra-stateless,43200\n");
    ends_with(text_of_file(least + range + mode + "\"managed\"\n"),
              "dhcp-range=2001:db8:a::1000,2001:db8:a::1fff,64,43200\nenable-ra\n");
    ends_with(text_of_file(least + range +
                           "[[dhcp.range]]\nfirst = \"2001:db8:a::7\"\nlast = \"2001:db8:a::9\"\n" +
                           host + "\"2001:db8:a::20\"\nname = \"door\"\n" + mode + "\"managed\"\n"),
              "dhcp-range=2001:db8:a::7,2001:db8:a::9,64,43200\n"
              "dhcp-host=02:00:00:00:00:1a,[2001:db8:a::20],door\nenable-ra\n");
}

TEST_CASE("dhcp: who checks the files and where they are") {
    const auto files = files_of(least + "[dhcp]\nfile = \"/tmp/x.conf\"\n" + range.substr(7));
    CHECK(files_of(least + range)[0].path == "/etc/dnsmasq.d/linkbal.conf");
    CHECK(files[0].path == "/tmp/x.conf");
    CHECK(files[0].checker == CommandWords{"dnsmasq", "--test", "-C"});

    const std::string kea = least + "[dhcp]\nserver = \"kea\"\ndns_servers = [\"192.0.2.1\"]\n";
    const auto paths = [](const std::vector<DhcpFile>& some) {
        std::vector<std::string> all;
        for (const DhcpFile& file : some) {
            all.push_back(file.path);
        }
        return all;
    };
    using Paths = std::vector<std::string>;
    const auto rest = range.substr(7);
    CHECK(paths(files_of(kea + rest)) == Paths{"/etc/kea/kea-dhcp4.conf"});
    CHECK(paths(files_of(kea + rest + mode + "\"slaac\"\n")) ==
          Paths{"/etc/kea/kea-dhcp4.conf", "/etc/radvd.conf"});
    CHECK(paths(files_of(kea + "file = \"/x\"\n" + rest + mode + "\"managed\"\n")) ==
          Paths{"/x/kea-dhcp4.conf", "/x/kea-dhcp6.conf", "/x/radvd.conf"});
}

TEST_CASE("dhcp: the signature is that of the first line") {
    CHECK(is_signed(signature_line + "x"));
    CHECK(is_signed(fmt::format("// {}", dhcp_signature)));
    CHECK_FALSE(is_signed(""));
    CHECK_FALSE(is_signed("\n" + signature_line));
    CHECK_FALSE(is_signed(dhcp_signature));
    CHECK_FALSE(is_signed("interface=eth0\n" + signature_line));
}

TEST_CASE("dhcp: Kea for IPv4") {
    const auto files = files_of(two_lans + R"([dhcp]
server = "kea"
lease_time = "30m"
max_lease_time = "2h"
domain = "a.lan"
dns_servers = ["192.0.2.1", "2001:db8::53", "192.0.2.2"]
[[dhcp.range]]
first = "192.168.0.10"
last = "192.168.0.20"
[[dhcp.range]]
first = "192.168.0.30"
last = "192.168.0.40"
router = "192.168.0.2"
[[dhcp.range]]
first = "10.0.0.20"
last = "10.0.0.30"
[[dhcp.host]]
mac = "02:00:00:00:00:1A"
address = "192.168.0.50"
name = "printer"
)");
    REQUIRE(files.size() == 1);
    CHECK(parsed(files[0]) == nlohmann::json::parse(R"({"Dhcp4": {
        "interfaces-config": {"interfaces": ["eth0", "eth5"]},
        "authoritative": true,
        "lease-database": {"type": "memfile"},
        "valid-lifetime": 1800,
        "max-valid-lifetime": 7200,
        "calculate-tee-times": true,
        "host-reservation-identifiers": ["hw-address"],
        "option-data": [{"name": "domain-name-servers", "data": "192.0.2.1, 192.0.2.2"},
                        {"name": "domain-name", "data": "a.lan"}],
        "subnet4": [
            {"id": 1, "subnet": "192.168.0.0/24", "interface": "eth0",
             "pools": [{"pool": "192.168.0.10 - 192.168.0.20"},
                       {"pool": "192.168.0.30 - 192.168.0.40",
                        "option-data": [{"name": "routers", "data": "192.168.0.2"}]}],
             "option-data": [{"name": "routers", "data": "192.168.0.1"}],
             "reservations": [{"hw-address": "02:00:00:00:00:1a", "ip-address": "192.168.0.50",
                               "hostname": "printer"}]},
            {"id": 2, "subnet": "10.0.0.16/28", "interface": "eth5",
             "pools": [{"pool": "10.0.0.20 - 10.0.0.30"}],
             "option-data": [{"name": "routers", "data": "10.0.0.17"}]}]}})"));
}

TEST_CASE("dhcp: Kea for IPv6, and radvd") {
    const auto files =
        files_of(least +
                 "[dhcp]\nserver = \"kea\"\ndomain = \"a.lan\"\n"
                 "dns_servers = [\"192.0.2.1\", \"2001:db8::53\"]\n" +
                 range.substr(7) + host + "\"2001:db8:a::20\"\n" + mode + "\"managed\"\n");
    REQUIRE(files.size() == 3);
    CHECK(parsed(files[1]) == nlohmann::json::parse(R"({"Dhcp6": {
        "interfaces-config": {"interfaces": ["eth0"]},
        "lease-database": {"type": "memfile"},
        "valid-lifetime": 43200,
        "max-valid-lifetime": 43200,
        "preferred-lifetime": 27000,
        "calculate-tee-times": true,
        "host-reservation-identifiers": ["hw-address"],
        "option-data": [{"name": "dns-servers", "data": "2001:db8::53"},
                        {"name": "domain-search", "data": "a.lan"}],
        "subnet6": [
            {"id": 1, "subnet": "2001:db8:a::/64", "interface": "eth0",
             "pools": [{"pool": "2001:db8:a::1000 - 2001:db8:a::1fff"}],
             "reservations": [{"hw-address": "02:00:00:00:00:1a",
                               "ip-addresses": ["2001:db8:a::20"]}]}]}})"));
    CHECK(files[2].text == signature_line + R"(interface eth0
{
    AdvSendAdvert on;
    AdvManagedFlag on;
    AdvOtherConfigFlag on;
    prefix ::/64
    {
        AdvOnLink on;
        AdvAutonomous off;
    };
    RDNSS 2001:db8::53
    {
    };
    DNSSL a.lan
    {
    };
};
)");
    const auto slaac =
        files_of(least + "[dhcp]\nserver = \"kea\"\ndns_servers = [\"192.0.2.1\"]\n" +
                 range.substr(7) + mode + "\"slaac\"\n");
    CHECK(slaac[1].text.find("    AdvManagedFlag off;\n    AdvOtherConfigFlag off;\n") !=
          std::string::npos);
    CHECK(slaac[1].text.find("AdvAutonomous on;") != std::string::npos);
    CHECK(slaac[1].text.find("RDNSS") == std::string::npos);
}

TEST_CASE("dhcp: Kea is told which subnets share an interface") {
    Facts facts = machine();
    auto& first = facts.interfaces.front().addresses;
    first.push_back(own("172.16.5.1", 24));
    first.push_back(own("fd00:5::1", 64));
    const auto files = dhcp_files(good_config(two_lans + R"([dhcp]
server = "kea"
dns_servers = ["192.0.2.1"]
[[dhcp.range]]
first = "192.168.0.10"
last = "192.168.0.20"
[[dhcp.range]]
first = "10.0.0.20"
last = "10.0.0.30"
[[dhcp.range]]
first = "172.16.5.10"
last = "172.16.5.20"
[[dhcp.host]]
mac = "02:00:00:00:00:1A"
address = "172.16.5.50"
[dhcp.ipv6]
mode = "managed"
)"),
                                  facts);
    REQUIRE(files.size() == 3);
    const auto four = parsed(files[0])["Dhcp4"];
    CHECK(four["shared-networks"] == nlohmann::json::parse(R"([{"name": "eth0", "subnet4": [
        {"id": 1, "subnet": "192.168.0.0/24", "interface": "eth0",
         "pools": [{"pool": "192.168.0.10 - 192.168.0.20"}],
         "option-data": [{"name": "routers", "data": "192.168.0.1"}]},
        {"id": 2, "subnet": "172.16.5.0/24", "interface": "eth0",
         "pools": [{"pool": "172.16.5.10 - 172.16.5.20"}],
         "option-data": [{"name": "routers", "data": "172.16.5.1"}],
         "reservations": [{"hw-address": "02:00:00:00:00:1a", "ip-address": "172.16.5.50"}]}]}])"));
    CHECK(four["subnet4"] == nlohmann::json::parse(R"([
        {"id": 3, "subnet": "10.0.0.16/28", "interface": "eth5",
         "pools": [{"pool": "10.0.0.20 - 10.0.0.30"}],
         "option-data": [{"name": "routers", "data": "10.0.0.17"}]}])"));
    const auto six = parsed(files[1])["Dhcp6"];
    CHECK(six["shared-networks"] == nlohmann::json::parse(R"([{"name": "eth0", "subnet6": [
        {"id": 1, "subnet": "2001:db8:a::/64", "interface": "eth0",
         "pools": [{"pool": "2001:db8:a::1000 - 2001:db8:a::1fff"}]},
        {"id": 2, "subnet": "fd00:5::/64", "interface": "eth0",
         "pools": [{"pool": "fd00:5::1000 - fd00:5::1fff"}]}]}])"));
    CHECK(six["subnet6"] == nlohmann::json::array());
}

TEST_CASE("dhcp: the subnets of the LAN, each once") {
    const auto subnets = lan_subnets(good_config(two_lans), machine());
    const auto address = [](std::string_view text) { return IpAddress::parse(text).value(); };
    const auto prefix = [](std::string_view text) { return Prefix::parse(text).value(); };
    CHECK(subnets ==
          std::vector<LanSubnet>{{"eth0", address("192.168.0.1"), prefix("192.168.0.0/24")},
                                 {"eth0", address("2001:db8:a::1"), prefix("2001:db8:a::/64")},
                                 {"eth5", address("10.0.0.17"), prefix("10.0.0.16/28")}});
}

TEST_CASE("dhcp system: ranges and the machine") {
    const auto ends = [](const std::string& first, const std::string& last) {
        return "[[dhcp.range]]\nfirst = \"" + first + "\"\nlast = \"" + last + "\"\n";
    };
    check_found({
        {least + ends("192.168.9.10", "192.168.9.20"),
         {"7:9: first: expected an address in a subnet of eth0 (192.168.0.0/24), found "
          "192.168.9.10"}},
        {least + ends("192.168.0.10", "192.168.1.20"),
         {"8:8: last: expected an address in 192.168.0.0/24, like first, found 192.168.1.20"}},
        // An uplink's subnet is none of the LAN's.
        {least + ends("192.0.2.10", "192.0.2.20"),
         {"7:9: first: expected an address in a subnet of eth0 (192.168.0.0/24), found "
          "192.0.2.10"}},
        {two_lans + ends("192.168.0.10", "192.168.0.20") + "interface = \"eth5\"\n",
         {"7:9: first: expected an address in a subnet of eth5 (10.0.0.16/28), found "
          "192.168.0.10"}},
        {least + ends("192.168.0.1", "192.168.0.20"),
         {"7:9: first: expected a range without the gateway's own address 192.168.0.1 (eth0), "
          "found 192.168.0.1 - 192.168.0.20"}},
        {least + ends("192.168.0.10", "192.168.0.255"),
         {"8:8: last: expected the address of a host, found 192.168.0.255, which stands for all of "
          "192.168.0.0/24"}},
        {two_lans + ends("10.0.0.19", "10.0.0.31"),
         {"8:8: last: expected the address of a host, found 10.0.0.31, which stands for all of "
          "10.0.0.16/28"}},
        {two_lans + ends("10.0.0.19", "10.0.0.30"), {}},
        {least + range + "router = \"192.168.1.1\"\n",
         {"10:10: router: expected an address in 192.168.0.0/24, like the range, found "
          "192.168.1.1"}},
    });
}

TEST_CASE("dhcp system: static leases and the machine") {
    check_found({
        {two_lans + range + host + "\"192.168.0.251\"\n", {}},
        {two_lans + range + host + "\"172.16.0.1\"\n",
         {"12:11: address: expected one in a subnet with a range (192.168.0.0/24), found "
          "172.16.0.1"}},
        {two_lans + range + host + "\"10.0.0.20\"\n",
         {"12:11: address: expected one in a subnet with a range (192.168.0.0/24), found "
          "10.0.0.20"}},
        {two_lans + range + host + "\"192.168.0.1\"\n",
         {"12:11: address: expected one of a host, found 192.168.0.1, which is the gateway's own"}},
        {two_lans + range + host + "\"192.168.0.255\"\n",
         {"12:11: address: expected one of a host, found 192.168.0.255, which is nobody's"}},
        {two_lans + range + host + "\"2001:db8:a::20\"\n" + mode + "\"managed\"\n", {}},
    });
}

TEST_CASE("dhcp system: only without a daemon is the machine asked by check_system()") {
    const std::string text = least +
                             "gateway = \"192.0.2.1\"\n[[dhcp.range]]\nfirst = \"192.168.9.10\"\n"
                             "last = \"192.168.9.20\"\n";
    CHECK(check_system(good_config(text), machine(), "f.toml").size() == 1);
    CHECK(check_system(good_config(text), machine(), "f.toml", true).empty());
}
