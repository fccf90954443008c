// SPDX-License-Identifier: GPL-2.0-or-later
// How targets are spelled, kind by kind.
#include "config_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

std::string targets(const std::string& probe, const std::string& list) {
    return least + "[health]\nprobe = \"" + probe + "\"\ntargets = [" + list + "]\n";
}

std::vector<ProbeTarget> read(const std::string& probe, const std::string& list) {
    return good_config(targets(probe, list)).uplinks.at(0).health.targets;
}

ProbeTarget at(std::string_view address, uint16_t port = 0, std::string path = "") {
    return {IpAddress::parse(address).value(), port, std::move(path)};
}
ProbeTarget at_gateway(uint16_t port = 0, std::string path = "") {
    return {std::nullopt, port, std::move(path)};
}

using Targets = std::vector<ProbeTarget>;

// Each of the items, which are in the file one a line, is refused for `reason`.
void check_refused(const std::string& probe, const std::vector<std::string>& items,
                   const std::string& expected, const std::string& reason = "") {
    std::string list = "\n";
    std::vector<std::string> errors;
    for (const std::string& item : items) {
        list += "  \"" + item + "\",\n";
        errors.push_back(std::to_string(errors.size() + 9) + ":3: targets: expected " + expected +
                         ", found \"" + item + "\"" + reason);
    }
    INFO(probe);
    CHECK(parse_errors(targets(probe, list)) == errors);
}

const std::string icmp = "an address or \"gateway\"";
const std::string tcp = R"("ADDRESS:PORT", "[ADDRESS]:PORT" for IPv6, or "gateway:PORT")";
const std::string dns =
    R"(an address or "gateway", or "ADDRESS:PORT", "[ADDRESS]:PORT" or "gateway:PORT")";
const std::string http =
    R"("http://ADDRESS:PORT/PATH" with IPv6 in brackets and the last two optional)";
const std::string no_names =
    ": a name would have to be resolved through the very link that is being judged";

} // namespace

TEST_CASE("config target: each kind has its spelling") {
    CHECK(read("icmp", R"("192.0.2.1", "2001:db8::1", "fe80::1", "gateway")") ==
          Targets{at("192.0.2.1"), at("2001:db8::1"), at("fe80::1"), at_gateway()});
    CHECK(read("tcp", R"("192.0.2.1:443", "[2001:db8::1]:65535", "gateway:1")") ==
          Targets{at("192.0.2.1", 443), at("2001:db8::1", 65535), at_gateway(1)});
    CHECK(read("dns", R"("192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::2]",
                         "[2001:db8::1]:5353", "gateway", "gateway:54")") ==
          Targets{at("192.0.2.1", 53), at("192.0.2.1", 5353), at("2001:db8::1", 53),
                  at("2001:db8::2", 53), at("2001:db8::1", 5353), at_gateway(53), at_gateway(54)});
    CHECK(read("http", R"("http://192.0.2.1", "http://192.0.2.1:8080", "http://192.0.2.1/a/b?c=d",
                          "http://[2001:db8::1]", "http://[2001:db8::1]:8080/:x", "http://gateway/")") ==
          Targets{at("192.0.2.1", 80, "/"), at("192.0.2.1", 8080, "/"),
                  at("192.0.2.1", 80, "/a/b?c=d"), at("2001:db8::1", 80, "/"),
                  at("2001:db8::1", 8080, "/:x"), at_gateway(80, "/")});
}

TEST_CASE("config target: names and certificates are refused with the reason") {
    check_refused("icmp", {"example.org", "localhost", "gatway", "1.example."}, icmp, no_names);
    check_refused("tcp", {"example.org:443", "example.org", "dns-1:53"}, tcp, no_names);
    check_refused("dns", {"example.org", "example.org:53"}, dns, no_names);
    check_refused("http", {"http://example.org", "http://www.example.org:80/x"}, http, no_names);
    check_refused("http", {"https://192.0.2.1/", "https://example.org"}, http,
                  ": certificates are for names, and" + no_names.substr(1));
}

TEST_CASE("config target: what is no target of the kind") {
    check_refused("icmp",
                  {"", " ", "192.0.2.256", "192.0.2.1/32", "192.0.2.1:7", "[2001:db8::1]",
                   "gateway:53", "[gateway]", "0.0.0.0", "127.0.0.1", "224.0.0.1", "::1", "ff02::1",
                   "192.0.2.1 "},
                  icmp);
    check_refused("tcp",
                  {"192.0.2.1", "2001:db8::1", "2001:db8::1:80", "gateway", "192.0.2.1:0",
                   "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:+1", "192.0.2.1:1x",
                   "192.0.2.1:", ":80", "[192.0.2.1]:80", "[2001:db8::1]80", "[2001:db8::1:80",
                   "[2001:db8::1]", "[gateway]:80", "[ff02::1]:80", "http://192.0.2.1"},
                  tcp);
    check_refused("dns", {"192.0.2.1:0", "[192.0.2.1]", "[2001:db8::1]:", "127.0.0.1", "[]", ""},
                  dns);
    check_refused("http",
                  {"192.0.2.1", "http://", "http:///", "http://2001:db8::1/", "http://192.0.2.1?q",
                   "http://192.0.2.1/a b", "http://192.0.2.1/#a", "http://u@192.0.2.1/",
                   "http://192.0.2.1:0/", "ftp://192.0.2.1", "HTTP://192.0.2.1",
                   "http://192.0.2.1/\xc3\xa9"},
                  http);
}

TEST_CASE("config target: it is a string, and there is at least one") {
    check_cases({
        {targets("icmp", "7, true, {}"),
         {"8:12: targets: expected " + icmp + ", found 7",
          "8:15: targets: expected " + icmp + ", found true",
          "8:21: targets: expected " + icmp + ", found a table"}},
        {targets("icmp", R"("192.0.2.1\u0000", "192.0.2.2\n")"),
         {"8:12: targets: expected " + icmp + ", found \"192.0.2.1\\x00\"",
          "8:31: targets: expected " + icmp + ", found \"192.0.2.2\\n\""}},
        {targets("icmp", ""),
         {"8:11: targets: expected an array of one or more, each " + icmp +
          ", found an empty array"}},
        {least + "[health]\ntargets = \"192.0.2.1\"\n",
         {"7:11: targets: expected an array of one or more, each " + icmp +
          ", found \"192.0.2.1\""}},
    });
}
