// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "support/catch.h"

#include "core/netfilter_rules.h"
#include "kernel/nft_dump.h"
#include "kernel/nft_message.h"
#include "kernel/nftables.h"
#include "program.h"
#include "support/full_netfilter.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// Names with every character that a configuration allows.
NetfilterState two_uplinks() {
    return {0x00ff0000,
            {{"velox1", "eth1", 0x00010000}, {"a-b.c_D-123456.", "ppp0", 0x00020000}},
            {Prefix::parse("192.0.2.0/24").value(), Prefix::parse("198.51.100.128/28").value(),
             Prefix::parse("203.0.113.7/32").value(), Prefix::parse("2001:db8::/61").value(),
             Prefix::any(Family::ipv6)}};
}

NetfilterState many_uplinks(uint32_t count) {
    NetfilterState state{0x00ff0000, {}, {Prefix::parse("192.0.2.0/24").value()}};
    for (uint32_t id = 1; id <= count; ++id) {
        state.uplinks.push_back(
            {fmt::format("uplink-name-{}", id), fmt::format("eth{}", id), id << 16});
    }
    return state;
}

void must(const Status& status) {
    INFO((status ? "" : status.error().message));
    REQUIRE(status);
}

NetfilterMatch match(const NetfilterState& state) {
    const auto found = compare("linkbal", state);
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    return *found;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
        text.replace(at, from.size(), to);
    }
    return text;
}

} // namespace

TEST_CASE("a loaded table is the same, an absent one absent, another state different") {
    LINKBAL_OWN_NAMESPACE();
    const auto state = two_uplinks();
    CHECK(match(state) == NetfilterMatch::absent);
    must(replace("linkbal", state));
    CHECK(match(state) == NetfilterMatch::same);
    auto other = state;
    SECTION("mark") { other.uplinks[1].mark = 0x00030000; }
    SECTION("mask") { other.mark_mask = 0x01ff0000; }
    SECTION("device") { other.uplinks[0].device = "eth10"; }
    SECTION("name") { other.uplinks[0].name = "velox2"; }
    SECTION("uplink") { other.uplinks.pop_back(); }
    SECTION("prefix") { other.masqueraded[0] = Prefix::parse("192.0.2.0/25").value(); }
    SECTION("prefix gone") { other.masqueraded.pop_back(); }
    SECTION("resets") { other.resets = false; }
    CHECK(match(other) == NetfilterMatch::different);
    must(replace("linkbal", other));
    CHECK(match(other) == NetfilterMatch::same);
    CHECK(match(state) == NetfilterMatch::different);
}

TEST_CASE("tables without uplinks or networks, and with 255 uplinks, load and compare") {
    LINKBAL_OWN_NAMESPACE();
    const NetfilterState empty{0x00ff0000, {}, {}};
    must(replace("linkbal", empty));
    CHECK(match(empty) == NetfilterMatch::same);
    const auto many = many_uplinks(255);
    const auto start = std::chrono::steady_clock::now();
    must(replace("linkbal", many));
    const auto loaded = std::chrono::steady_clock::now();
    CHECK(match(many) == NetfilterMatch::same);
    const auto compared = std::chrono::steady_clock::now();
    must(replace("linkbal", many));
    const auto again = std::chrono::steady_clock::now();
    const auto ms = [](auto span) {
        return std::chrono::duration<double, std::milli>(span).count();
    };
    WARN("255 uplinks: load " << ms(loaded - start) << " ms, compare " << ms(compared - loaded)
                              << " ms, load again " << ms(again - compared) << " ms");
    auto other = many;
    other.uplinks[254].mark = 0x00010000 * 255 ^ 0x00800000;
    CHECK(match(other) == NetfilterMatch::different);
}

TEST_CASE("a table with everything loads, is the same, and any part of it makes a difference") {
    LINKBAL_OWN_NAMESPACE();
    const auto state = full_netfilter();
    must(replace("linkbal", state));
    CHECK(match(state) == NetfilterMatch::same);
    auto other = state;
    SECTION("no firewall") { other.firewall.reset(); }
    SECTION("ping") { other.firewall->config.ping.uplinks = false; }
    SECTION("ports") { other.firewall->config.allow[0].services[0].ports.last = 23; }
    SECTION("rate") { other.firewall->config.allow[0].rate->connections = 11; }
    SECTION("unit") { other.firewall->config.allow[1].rate->unit = ConnectionRate::Unit::minute; }
    SECTION("protocol") { other.firewall->config.allow[2].protocols[0] = 89; }
    SECTION("no protocol") { other.firewall->config.allow[2].protocols.pop_back(); }
    SECTION("origin") { other.firewall->config.allow[1].from.networks.pop_back(); }
    SECTION("log") { other.firewall->config.log = 1; }
    SECTION("prefix") { other.firewall->config.log_prefix = "other"; }
    SECTION("name server") { other.firewall->config.dns_servers.pop_back(); }
    SECTION("DNS") { other.firewall->serves_dns = false; }
    SECTION("expected") { other.firewall->expected.pop_back(); }
    SECTION("subnet") { other.firewall->subnets.pop_back(); }
    SECTION("forwarded to") { other.forwards[0].to = IpAddress::parse("192.0.2.12"); }
    SECTION("forwarded port") { other.forwards[0].to_port = 81; }
    SECTION("forwarded from") { other.forwards[1].from.pop_back(); }
    SECTION("hairpin") { other.forwards[0].hairpin = false; }
    SECTION("address") { other.uplink_addresses.pop_back(); }
    SECTION("helper") { other.helpers[1].name = "irc"; }
    SECTION("helper's transport") { other.helpers[1].transport = Transport::udp; }
    SECTION("helper's port") { other.helpers[1].ports.pop_back(); }
    SECTION("mtu") { other.clamps[0].mtu[1] = 1400; }
    SECTION("size") { other.clamps[1].size = 1301; }
    CHECK(match(other) == NetfilterMatch::different);
}

TEST_CASE("what is loaded is what the notation says, and nft can read its own listing of it") {
    LINKBAL_OWN_NAMESPACE();
    auto without_resets = two_uplinks();
    without_resets.resets = false;
    const auto state = GENERATE_COPY(two_uplinks(), many_uplinks(255), without_resets,
                                     NetfilterState{0x00ff0000, {}, {}}, full_netfilter());
    must(replace("linkbal", state));
    nft(nft_notation("notation", netfilter_ruleset(state)));
    const auto loaded = nft_list("table inet linkbal");
    CHECK(loaded ==
          replaced(nft_list("table inet notation"), "table inet notation", "table inet linkbal"));
    nft("delete table inet linkbal");
    nft(loaded);
    CHECK(nft_list("table inet linkbal") == loaded);
}

TEST_CASE("every edit by hand is seen") {
    LINKBAL_OWN_NAMESPACE();
    const auto state = two_uplinks();
    must(replace("linkbal", state));
    const auto [edit] = GENERATE(table<std::string>({
        {"add rule inet linkbal prerouting accept"},
        {"insert rule inet linkbal nat_postrouting accept"},
        {"add rule inet linkbal restore_velox1 counter"},
        {"flush chain inet linkbal masquerade_lan"},
        {"flush chain inet linkbal restore_velox1; add rule inet linkbal restore_velox1 meta mark "
         "set meta mark & 0xff00ffff | 0x00030000"},
        {"flush chain inet linkbal masquerade_lan; add rule inet linkbal masquerade_lan ip saddr "
         "192.0.2.0/24 masquerade random"},
        {"chain inet linkbal prerouting { policy drop; }"},
        {"add chain inet linkbal another"},
        {"add chain inet linkbal hooked { type filter hook forward priority 0; }"},
        {"rename chain inet linkbal masquerade_lan another"},
        {"flush chain inet linkbal reset_dead"},
        {"flush chain inet linkbal reset_dead; delete set inet linkbal dead4"},
        {"flush chain inet linkbal reset_dead; delete set inet linkbal dead4; add set inet linkbal "
         "dead4 { type ipv4_addr . ipv4_addr . inet_service . inet_service; size 131072; timeout "
         "6m; }; add rule inet linkbal reset_dead ip saddr . ip daddr . tcp sport . tcp dport "
         "@dead4 reject with tcp reset; add rule inet linkbal reset_dead ip6 saddr . ip6 daddr . "
         "tcp sport . tcp dport @dead6 reject with tcp reset"},
        {"add set inet linkbal another { type ipv4_addr; }"},
        {"add map inet linkbal another { type mark : verdict; }"},
        {"add counter inet linkbal another"},
        {"add quota inet linkbal another 10 mbytes"},
        {"add table inet linkbal { flags dormant; }"},
        {"flush chain inet linkbal output; delete chain inet linkbal output"},
        {"flush chain inet linkbal output; add rule inet linkbal output ct mark & 0x00ff0000 vmap "
         "{ 0x00010000 : goto restore_velox1 }"},
    }));
    nft(edit);
    INFO(edit);
    CHECK(match(state) == NetfilterMatch::different);
    must(replace("linkbal", state));
    CHECK(match(state) == NetfilterMatch::same);
}

TEST_CASE("a rule replaced, deleted or moved by its handle is seen") {
    LINKBAL_OWN_NAMESPACE();
    const auto state = two_uplinks();
    must(replace("linkbal", state));
    const auto listing = run({"nft", "-a", "list chain inet linkbal masquerade_lan"}).output;
    const auto at = listing.find("handle", listing.find("192.0.2.0") + 1);
    const auto handle = std::to_string(std::stoul(listing.substr(at + 7)));
    const std::string rule = "inet linkbal masquerade_lan handle " + handle;
    SECTION("replaced") { nft("replace rule " + rule + " ip saddr 192.0.2.0/23 masquerade"); }
    SECTION("commented") {
        nft("replace rule " + rule + " ip saddr 192.0.2.0/24 masquerade comment \"mine\"");
    }
    SECTION("deleted") { nft("delete rule " + rule); }
    SECTION("moved") {
        nft("delete rule " + rule +
            "\nadd rule inet linkbal masquerade_lan ip saddr 192.0.2.0/24 masquerade");
    }
    CHECK(match(state) == NetfilterMatch::different);
}

TEST_CASE("elements of the verdict maps cannot be changed by hand") {
    LINKBAL_OWN_NAMESPACE();
    must(replace("linkbal", two_uplinks()));
    const auto add = run({"nft", "add element inet linkbal __map0 { 0x00030000 : accept }"});
    CHECK(add.status != 0);
    const auto del = run({"nft", "delete element inet linkbal __map0 { 0x00010000 }"});
    CHECK(del.status != 0);
    CHECK(match(two_uplinks()) == NetfilterMatch::same);
}

TEST_CASE("counters go on across a replacement and are told by uplink") {
    LINKBAL_OWN_NAMESPACE();
    auto state = two_uplinks();
    REQUIRE(connection_counters("linkbal").value().empty());
    must(replace("linkbal", state));
    nft("delete table inet linkbal\n" +
        replaced(nft_list("table inet linkbal"), "counter left_velox1 {\n\t\tpackets 0 bytes 0",
                 "counter left_velox1 {\n\t\tpackets 41 bytes 4100"));
    REQUIRE(connection_counters("linkbal")->at("velox1") == ConnectionCounters{0, 41});
    state.uplinks.push_back({"third", "eth3", 0x00030000});
    must(replace("linkbal", state));
    const auto counters = connection_counters("linkbal").value();
    CHECK(counters.size() == 3);
    CHECK(counters.at("velox1") == ConnectionCounters{0, 41});
    CHECK(counters.at("third") == ConnectionCounters{});
    CHECK(nft_list("counters table inet linkbal").find("packets 41 bytes 4100") !=
          std::string::npos);
}

TEST_CASE("dead connections outlive a replacement, but not the sets that they don't fit") {
    LINKBAL_OWN_NAMESPACE();
    const auto add_dead = [] {
        nft("add element inet linkbal dead4 { 192.0.2.9 . 203.0.113.7 . 4000 . 443 expires 200s }\n"
            "add element inet linkbal dead6 { 2001:db8::9 . 2001:db8:1::7 . 4000 . 443 }");
    };
    const auto dead = [](const std::string& what) {
        return nft_list("table inet linkbal").find(what) != std::string::npos;
    };
    auto state = two_uplinks();
    must(replace("linkbal", state));
    add_dead();
    CHECK(match(state) == NetfilterMatch::same);
    state.uplinks.pop_back();
    SECTION("as they are") {
        must(replace("linkbal", state));
        CHECK(dead("192.0.2.9 . 203.0.113.7 . 4000 . 443 expires 3m"));
        CHECK(dead("2001:db8::9 . 2001:db8:1::7 . 4000 . 443 expires 4m"));
    }
    SECTION("put back") {
        const auto saved = snapshot("linkbal").value();
        state.resets = false;
        must(replace("linkbal", state));
        CHECK_FALSE(dead("dead4"));
        must(restore(saved));
        CHECK(match(two_uplinks()) == NetfilterMatch::same);
        CHECK(dead("192.0.2.9 . 203.0.113.7 . 4000 . 443 expires 3m"));
    }
    SECTION("a set of another kind") {
        nft("flush chain inet linkbal reset_dead; delete set inet linkbal dead4; add set inet "
            "linkbal dead4 { type ipv4_addr; timeout 5m; elements = { 192.0.2.9 } }");
        must(replace("linkbal", state));
        CHECK_FALSE(dead("192.0.2.9"));
        CHECK(dead("2001:db8::9"));
    }
    CHECK(dead("dead6"));
}

TEST_CASE("asking for the ability to reset changes nothing") {
    LINKBAL_OWN_NAMESPACE();
    must(replace("linkbal", two_uplinks()));
    auto socket = NfnetlinkSocket::open().value();
    const auto before = read_table(socket, "linkbal").value();
    CHECK(can_reject_in_prerouting().value()); // as every kernel that this is tested on
    CHECK(read_table(socket, "linkbal")->generation == before.generation);
    CHECK(nft_list("tables") == "table inet linkbal\n");
}

TEST_CASE("a refused table leaves the old one and says why") {
    LINKBAL_OWN_NAMESPACE();
    const auto state = two_uplinks();
    must(replace("linkbal", state));
    const auto before = run({"nft", "-a", "list ruleset"}).output;
    auto bad = state;
    bad.uplinks[1].mark = bad.uplinks[0].mark; // twice the same key with different chains
    const auto status = replace("linkbal", bad);
    REQUIRE_FALSE(status);
    INFO(status.error().message);
    CHECK(status.error().code == EEXIST);
    CHECK(status.error().message.find("load nftables table inet linkbal: elements of set __map") ==
          0);
    CHECK(run({"nft", "-a", "list ruleset"}).output == before);
}

TEST_CASE("foreign tables are not touched") {
    LINKBAL_OWN_NAMESPACE();
    nft("table ip linkbal { chain c { type filter hook input priority 0; }; }\n"
        "table inet linkbal2 { counter left_x { packets 7 bytes 7; }; set s { type ipv4_addr; }; "
        "}\n"
        "table ip nat { chain p { type nat hook postrouting priority 100; masquerade; }; }");
    const auto before = run({"nft", "-a", "list ruleset"}).output;
    must(replace("linkbal", two_uplinks()));
    CHECK(match(two_uplinks()) == NetfilterMatch::same);
    CHECK_FALSE(connection_counters("linkbal")->contains("x"));
    must(linkbal::remove("linkbal"));
    CHECK(match(two_uplinks()) == NetfilterMatch::absent);
    must(linkbal::remove("linkbal"));
    CHECK(run({"nft", "-a", "list ruleset"}).output == before);
}

TEST_CASE("a snapshot puts back what was there, byte for byte") {
    LINKBAL_OWN_NAMESPACE();
    SECTION("nothing") {
        const auto saved = snapshot("linkbal").value();
        must(replace("linkbal", two_uplinks()));
        must(restore(saved));
        CHECK(match(two_uplinks()) == NetfilterMatch::absent);
        must(restore(saved));
    }
    SECTION("our own table") {
        must(replace("linkbal", many_uplinks(255)));
        const auto before = nft_list("ruleset");
        const auto saved = snapshot("linkbal").value();
        must(replace("linkbal", two_uplinks()));
        must(restore(saved));
        CHECK(nft_list("ruleset") == before);
        CHECK(match(many_uplinks(255)) == NetfilterMatch::same);
    }
    SECTION("a stranger's") {
        nft(R"(table inet linkbal {
            comment "not ours"
            set named { typeof ip saddr; flags interval; elements = { 192.0.2.0/24 }; }
            map ports { type inet_service : ipv4_addr; elements = { 80 : 192.0.2.1 }; }
            counter c { packets 5 bytes 500; }
            quota q { over 10 mbytes; }
            chain in { type filter hook input priority -5; policy drop;
                ip saddr @named counter name "c" limit rate 5/second accept comment "rule"
                tcp dport { 22, 80-90 } log prefix "a" reject
                ip daddr . tcp dport { 192.0.2.1 . 22, 192.0.2.2 . 23 } quota name "q"
                jump other; }
            chain other { ct state vmap { established : accept, new : drop }; }
            chain forwards { type nat hook prerouting priority dstnat; dnat ip to tcp dport map @ports; }
        })");
        const auto before = nft_list("ruleset");
        const auto saved = snapshot("linkbal").value();
        must(replace("linkbal", two_uplinks()));
        must(restore(saved));
        CHECK(nft_list("ruleset") == before);
    }
}

TEST_CASE("a transaction on an outdated reading is refused whole") {
    LINKBAL_OWN_NAMESPACE();
    auto socket = NfnetlinkSocket::open().value();
    const auto before = read_table(socket, "linkbal").value();
    nft("add table inet other");
    const auto messages = nft_table_messages("linkbal", netfilter_ruleset(two_uplinks()), {});
    const auto refusals = socket.transact(nft_batch(messages, before.generation)).value();
    REQUIRE_FALSE(refusals.empty());
    CHECK(refusals.front().code == ERESTART);
    CHECK(match(two_uplinks()) == NetfilterMatch::absent);
    const auto now = read_table(socket, "linkbal").value();
    CHECK(socket.transact(nft_batch(messages, now.generation))->empty());
    CHECK(match(two_uplinks()) == NetfilterMatch::same);
}
