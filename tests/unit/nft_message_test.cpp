// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "support/catch.h"
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "core/netfilter_rules.h"
#include "kernel/nft_describe.h"
#include "kernel/nft_dump.h"
#include "kernel/nft_message.h"

using namespace linkbal;

namespace {

NetfilterState uplinks(uint32_t count) {
    NetfilterState state{0x00ff0000, {}, {Prefix::parse("198.51.100.0/25").value()}};
    for (uint32_t id = 1; id <= count; ++id) {
        state.uplinks.push_back({fmt::format("u{}", id), fmt::format("eth{}", id), id << 16});
    }
    return state;
}

std::vector<NftMessage> messages(const NetfilterState& state, const CounterValues& counters = {}) {
    return nft_table_messages("gw", netfilter_ruleset(state), counters);
}

std::vector<std::string> lines(const std::vector<NftMessage>& messages) {
    std::vector<NfnetlinkMessage> bare;
    for (const auto& message : messages) {
        bare.push_back(message.message);
    }
    return nft_describe(bare).value();
}

bool has(const std::vector<std::string>& lines, const std::string& line) {
    return std::ranges::find(lines, line) != lines.end();
}

} // namespace

TEST_CASE("rules become the expressions that the kernel runs") {
    const auto all = lines(messages(uplinks(2)));
    CHECK(has(all, "rule in restore_u2: [meta load mark => reg 1 ] [bitwise reg 1 = ( reg 1 & "
                   "0xff00ffff ) ^ 0x00020000 ] [meta set mark with reg 1 ] data "));
    CHECK(has(all, "rule in leave_u1: [ct load mark => reg 1 ] [bitwise reg 1 = ( reg 1 & "
                   "0xff00ffff ) ^ 0x00010000 ] [ct set mark with reg 1 ] [objref type 1 name "
                   "left_u1 ] data "));
    CHECK(has(all,
              "rule in masquerade_lan: [meta load nfproto => reg 1 ] [cmp eq reg 1 0x00000002 ] "
              "[payload load 4b @ network header + 12 => reg 1 ] [bitwise reg 1 = ( reg 1 & "
              "0x80ffffff ) ^ 0x00000000 ] [cmp eq reg 1 0x006433c6 ] [masq ] data "));
    CHECK(has(all, "rule in prerouting: [ct load state => reg 1 ] [bitwise reg 1 = ( reg 1 & "
                   "0x00000009 ) ^ 0x00000000 ] [cmp neq reg 1 0x00000000 ] [meta load l4proto => "
                   "reg 1 ] [cmp eq reg 1 0x00000006 ] [payload load 1b @ transport header + 13 => "
                   "reg 1 ] [bitwise reg 1 = ( reg 1 & 0x00000002 ) ^ 0x00000000 ] [cmp eq reg 1 "
                   "0x00000000 ] [immediate reg 0 goto -> reset_dead ] data "));
    CHECK(has(all, "rule in reset_dead: [meta load nfproto => reg 1 ] [cmp eq reg 1 0x0000000a ] "
                   "[meta load l4proto => reg 1 ] [cmp eq reg 1 0x00000006 ] [payload load 16b @ "
                   "network header + 8 => reg 1 ] [payload load 16b @ network header + 24 => reg 2 "
                   "] [payload load 2b @ transport header + 0 => reg 3 ] [payload load 2b @ "
                   "transport header + 2 => reg 17 ] [lookup reg 1 set dead6 0x0 ] [reject type 1 "
                   "code 0 ] data "));
}

TEST_CASE("any difference between two states is a difference between their messages") {
    const auto base = uplinks(2);
    const auto change = [&](auto edit) {
        auto other = base;
        edit(other);
        return lines(messages(other)) != lines(messages(base));
    };
    CHECK_FALSE(change([](NetfilterState&) {}));
    CHECK(change([](NetfilterState& s) { s.mark_mask = 0x00fff000; }));
    CHECK(change([](NetfilterState& s) { s.uplinks[1].mark = 0x00030000; }));
    CHECK(change([](NetfilterState& s) { s.uplinks[1].device = "eth20"; }));
    CHECK(change([](NetfilterState& s) { s.uplinks[1].name = "u3"; }));
    CHECK(change([](NetfilterState& s) { s.masqueraded[0] = Prefix::any(Family::ipv4); }));
    CHECK(change([](NetfilterState& s) { s.masqueraded.clear(); }));
    CHECK(change([](NetfilterState& s) { s.resets = false; }));
}

TEST_CASE("counter values are sent but not compared") {
    const auto plain = messages(uplinks(1));
    const auto counted = messages(uplinks(1), {{"left_u1", {41, 4100}}});
    CHECK(lines(plain) == lines(counted));
    CHECK_FALSE(std::ranges::equal(plain, counted, {}, &NftMessage::message, &NftMessage::message));
}

TEST_CASE("a batch is one framed transaction whose messages are numbered") {
    const auto bytes = nft_batch(messages(uplinks(255)), 7);
    int left = static_cast<int>(bytes.size());
    std::vector<const nlmsghdr*> heads;
    for (auto* m = reinterpret_cast<const nlmsghdr*>(bytes.data()); mnl_nlmsg_ok(m, left);
         m = mnl_nlmsg_next(m, &left)) {
        heads.push_back(m);
    }
    CHECK(left == 0);
    CHECK(heads.front()->nlmsg_type == NFNL_MSG_BATCH_BEGIN);
    CHECK(ntohl(mnl_attr_get_u32(find_attribute(*heads.front(), NFNL_BATCH_GENID))) == 7);
    CHECK(heads.back()->nlmsg_type == NFNL_MSG_BATCH_END);
    CHECK(heads[1]->nlmsg_seq == 1);
    CHECK(heads[heads.size() - 2]->nlmsg_seq == heads.size() - 2);
}

TEST_CASE("elements of many uplinks are split so that no attribute outgrows its length") {
    auto state = uplinks(255);
    for (auto& uplink : state.uplinks) {
        uplink.name.resize(15, 'x');
    }
    size_t parts = 0;
    for (const auto& message : messages(state)) {
        CHECK(message.message.size() < 65536);
        parts += nft_kind(message.message) == NFT_MSG_NEWSETELEM ? 1 : 0;
    }
    CHECK(parts == 6 * 2);
}

TEST_CASE("a dumped message is sent again without what only the kernel may give") {
    auto dumped = messages(uplinks(1)).back().message;
    dumped.resize(dumped.size() + 64);
    mnl_attr_put_u64(header(dumped), NFTA_RULE_HANDLE, 5);
    mnl_attr_put_u64(header(dumped), NFTA_RULE_POSITION, 4);
    const auto request = to_request(dumped, 1);
    CHECK(nft_kind(request) == NFT_MSG_NEWRULE);
    CHECK(find_attribute(*header(request), NFTA_RULE_HANDLE) == nullptr);
    CHECK(find_attribute(*header(request), NFTA_RULE_POSITION) == nullptr);
    CHECK(nft_describe({request}) == nft_describe({dumped}));
}

TEST_CASE("a table with more users than were read holds something that we cannot read") {
    NftDump dump;
    for (auto& message : messages(uplinks(2))) {
        dump.messages.push_back(message.message);
    }
    const uint32_t users = 4 + 2 + 13; // counters, sets, chains; anonymous sets are their rules'
    const auto table_used_by = [&](uint32_t count) {
        dump.messages[0] = messages(uplinks(2))[0].message;
        dump.messages[0].resize(dump.messages[0].size() + 64);
        mnl_attr_put_u32(header(dump.messages[0]), NFTA_TABLE_USE, htonl(count));
        return dump;
    };
    CHECK(is_complete(table_used_by(users)));
    CHECK_FALSE(is_complete(table_used_by(users + 1)));
}
