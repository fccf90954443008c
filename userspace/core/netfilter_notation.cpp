// SPDX-License-Identifier: GPL-2.0-or-later
// The ruleset in nft's words. nft lists `& 0xff00ffff | 0x00010000` as `& 0xff01ffff | 0x00010000`:
// the same bits.
#include "core/netfilter_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace linkbal {

namespace {

template <typename Targets, typename Key>
std::string verdict_map(const Targets& targets, Key key) {
    std::vector<std::string> elements;
    for (const auto& target : targets) {
        elements.push_back(fmt::format("{} : goto {}", key(target), target.chain));
    }
    return fmt::format("vmap {{ {} }}", fmt::join(elements, ", "));
}

std::string with_mark(uint32_t mask, uint32_t mark) {
    return fmt::format("& {:#010x} | {:#010x}", ~mask, mark);
}

struct Writer {
    std::string operator()(const DispatchByMark& rule) const {
        const auto key = [](const MarkTarget& t) { return fmt::format("{:#010x}", t.mark); };
        return fmt::format("ct mark & {:#010x} {}", rule.mask, verdict_map(rule.targets, key));
    }
    std::string operator()(const DispatchByDevice& rule) const {
        const auto key = [](const DeviceTarget& t) { return fmt::format("\"{}\"", t.device); };
        return fmt::format("{} {}", rule.direction == Direction::in ? "iifname" : "oifname",
                           verdict_map(rule.targets, key));
    }
    std::string operator()(const AcceptFromDevices& rule) const {
        return fmt::format("iifname {{ \"{}\" }} accept", fmt::join(rule.devices, "\", \""));
    }
    std::string operator()(const RestoreMark& rule) const {
        return fmt::format("meta mark set meta mark {}", with_mark(rule.mask, rule.mark));
    }
    std::string operator()(const SaveMark& rule) const {
        return fmt::format("ct mark set ct mark {} counter name \"{}\"",
                           with_mark(rule.mask, rule.mark), rule.counter);
    }
    std::string operator()(const Masquerade& rule) const {
        const bool ipv4 = rule.source.family() == Family::ipv4;
        if (rule.source.is_default()) { // nft has no word for an address of any value
            return fmt::format("meta nfproto {} masquerade", ipv4 ? "ipv4" : "ipv6");
        }
        return fmt::format("{} saddr {} masquerade", ipv4 ? "ip" : "ip6", rule.source.str());
    }
    std::string operator()(const CatchMidStream& rule) const {
        return fmt::format("ct state invalid,new tcp flags ! syn goto {}", rule.chain);
    }
    std::string operator()(const ResetDead& rule) const {
        const std::string_view ip = rule.family == Family::ipv4 ? "ip" : "ip6";
        return fmt::format("{0} saddr . {0} daddr . tcp sport . tcp dport @{1} "
                           "reject with tcp reset",
                           ip, dead_set_name(rule.family));
    }
};

std::string comment_line(std::string_view indent, const std::string& comment) {
    return comment.empty() ? "" : fmt::format("{}comment \"{}\"\n", indent, comment);
}

std::string hook_line(const NftHook& hook) {
    return fmt::format("\t\ttype {} hook {} priority {}; policy accept;\n", nft_word(hook.type),
                       nft_word(hook.point), hook.priority);
}

std::string set_block(const DeadSet& set) {
    const std::string_view address = set.family == Family::ipv4 ? "ipv4_addr" : "ipv6_addr";
    return fmt::format("\n\tset {0} {{\n"
                       "\t\ttype {1} . {1} . inet_service . inet_service\n"
                       "\t\tsize {2}\n\t\ttimeout {3}m\n\t}}\n",
                       dead_set_name(set.family), address, dead_set_size, dead_set_timeout.count());
}

std::string chain_block(const NftChain& chain) {
    std::string text = fmt::format("\n\tchain {} {{\n", chain.name);
    text += comment_line("\t\t", chain.comment);
    if (chain.hook) {
        text += hook_line(*chain.hook);
    }
    for (const auto& rule : chain.rules) {
        text += fmt::format("\t\t{}", std::visit(Writer{}, rule.statement));
        text += rule.comment.empty() ? "\n" : fmt::format(" comment \"{}\"\n", rule.comment);
    }
    return text + "\t}\n";
}

} // namespace

std::string_view dead_set_name(Family family) { return family == Family::ipv4 ? "dead4" : "dead6"; }

std::string_view nft_word(NftChainType type) {
    switch (type) {
    case NftChainType::filter:
        return "filter";
    case NftChainType::route:
        return "route";
    case NftChainType::nat:
        return "nat";
    }
    return "";
}

std::string_view nft_word(NftHookPoint point) {
    switch (point) {
    case NftHookPoint::prerouting:
        return "prerouting";
    case NftHookPoint::output:
        return "output";
    case NftHookPoint::postrouting:
        return "postrouting";
    }
    return "";
}

std::string nft_notation(const std::string& table, const NftRuleset& ruleset) {
    std::string text = fmt::format("table inet {} {{\n", table);
    text += comment_line("\t", ruleset.comment);
    for (const auto& counter : ruleset.counters) {
        text += fmt::format("\n\tcounter {} {{\n\t}}\n", counter);
    }
    for (const auto& set : ruleset.sets) {
        text += set_block(set);
    }
    for (const auto& chain : ruleset.chains) {
        text += chain_block(chain);
    }
    return text + "}\n";
}

} // namespace linkbal
