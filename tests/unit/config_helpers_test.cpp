// SPDX-License-Identifier: GPL-2.0-or-later
// [helpers] as it is read.
#include <algorithm>

#include "config_cases.h"
#include "core/tracking_helpers.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// Lines of [helpers] from line 7 on.
ConfigCase helpers(const std::string& lines, std::vector<std::string> errors) {
    return {least + "[helpers]\n" + lines, std::move(errors)};
}

std::vector<HelperConfig> read(const std::string& lines) {
    return good_config(least + "[helpers]\n" + lines).helpers;
}

const std::string port_rule = "expected an integer from 1 to 65535, ";
const std::string value_rule = "expected true, false or an array of ports, ";
const std::string taken = "expected ports that have no helper yet, found ";

} // namespace

TEST_CASE("config helpers: the table is in the order of its keys, then of names and protocols") {
    CHECK(std::ranges::is_sorted(tracking_helpers, {}, [](const TrackingHelper& helper) {
        return std::tuple(helper.key, helper.name, helper.transport);
    }));
}

TEST_CASE("config helpers: true is the usual port, false and silence are none") {
    CHECK(good_config(least).helpers.empty());
    CHECK(read("").empty());
    CHECK(read("ftp = false\nh323 = false\n").empty());
    CHECK(read("ftp = true\n") == std::vector<HelperConfig>{{"ftp", Transport::tcp, {21}}});
    CHECK(read("sip = true\nh323 = true\nftp = true\n") ==
          std::vector<HelperConfig>{{"Q.931", Transport::tcp, {1720}},
                                    {"RAS", Transport::udp, {1719}},
                                    {"ftp", Transport::tcp, {21}},
                                    {"sip", Transport::tcp, {5060}},
                                    {"sip", Transport::udp, {5060}}});
    CHECK(read("tftp = true\nsnmp = true\nsane = true\npptp = true\nnetbios-ns = true\nirc = true\n"
               "amanda = true\n") ==
          std::vector<HelperConfig>{{"amanda", Transport::udp, {10080}},
                                    {"irc", Transport::tcp, {6667}},
                                    {"netbios-ns", Transport::udp, {137}},
                                    {"pptp", Transport::tcp, {1723}},
                                    {"sane", Transport::tcp, {6566}},
                                    {"snmp", Transport::udp, {161}},
                                    {"tftp", Transport::udp, {69}}});
}

TEST_CASE("config helpers: ports of one's own take the place of the usual one, sorted") {
    CHECK(read("ftp = [2121, 21]\nsip = [5080]\n") ==
          std::vector<HelperConfig>{{"ftp", Transport::tcp, {21, 2121}},
                                    {"sip", Transport::tcp, {5080}},
                                    {"sip", Transport::udp, {5080}}});
    CHECK(read("irc = [21]\nftp = [2121]\ntftp = [21]\n").size() == 3);
}

TEST_CASE("config helpers: a port has one helper") {
    check_cases({
        helpers("ftp = [21, 2121, 21]\n", {"7:18: ftp: " + taken + "21/tcp, which ftp has"}),
        helpers("irc = [6667, 21]\nftp = true\n",
                {"7:14: irc: " + taken + "21/tcp, which ftp has"}),
        helpers("ftp = [6667]\nirc = true\n", {"8:7: irc: " + taken + "6667/tcp, which ftp has"}),
        helpers("tftp = [5060]\nsip = true\n", {"7:9: tftp: " + taken + "5060/udp, which sip has"}),
        helpers("sane = [1720]\nh323 = true\n",
                {"7:9: sane: " + taken + "1720/tcp, which h323 has"}),
        helpers("ftp = false\nirc = [21]\n", {}),
    });
}

TEST_CASE("config helpers: mistakes in values and keys") {
    check_cases({
        helpers("ftp = 21\n", {"7:7: ftp: " + value_rule + "found 21"}),
        helpers("ftp = \"yes\"\n", {"7:7: ftp: " + value_rule + "found \"yes\""}),
        helpers("ftp = []\n",
                {"7:7: ftp: expected an array of one or more, each an integer from 1 to 65535, "
                 "found an empty array"}),
        helpers("ftp = [0, 65536, \"21\"]\n",
                {"7:8: ftp: " + port_rule + "found 0", "7:11: ftp: " + port_rule + "found 65536",
                 "7:18: ftp: " + port_rule + "found \"21\""}),
        helpers("h323 = [1720]\n", {"7:8: h323: expected true or false, found an array"}),
        helpers("tfpt = true\n", {"7:1: unknown key \"tfpt\", did you mean tftp?"}),
        helpers("rtsp = true\n",
                {"7:1: unknown key \"rtsp\", expected one of amanda, ftp, h323, irc, netbios-ns, "
                 "pptp, sane, sip, snmp, tftp"}),
    });
}
