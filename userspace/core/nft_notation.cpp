// SPDX-License-Identifier: GPL-2.0-or-later
// Rules in nft's words. nft lists `& 0xff00ffff | 0x00010000` as `& 0xff01ffff | 0x00010000`: the
// same bits.
#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/nft_rule.h"

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

std::string_view device_word(Direction direction) {
    return direction == Direction::in ? "iifname" : "oifname";
}

std::string_view address_word(AddressField field) {
    return field == AddressField::source ? "saddr" : "daddr";
}

std::string_view ip_word(Family family) { return family == Family::ipv4 ? "ip" : "ip6"; }

std::string_view family_word(Family family) { return family == Family::ipv4 ? "ipv4" : "ipv6"; }

std::string state_words(uint32_t states) {
    std::vector<std::string_view> words;
    constexpr std::array<std::pair<uint32_t, std::string_view>, 4> known{
        {{ct_invalid, "invalid"},
         {ct_established, "established"},
         {ct_related, "related"},
         {ct_new, "new"}}};
    for (const auto& [bit, word] : known) {
        if ((states & bit) != 0) {
            words.push_back(word);
        }
    }
    return fmt::format("{}", fmt::join(words, ","));
}

std::string flag_words(uint8_t flags) {
    std::vector<std::string_view> words;
    if ((flags & tcp_syn) != 0) {
        words.emplace_back("syn");
    }
    if ((flags & tcp_rst) != 0) {
        words.emplace_back("rst");
    }
    return fmt::format("{}", fmt::join(words, " | "));
}

std::string range(const PortRange& ports) {
    return ports.first == ports.last ? fmt::format("{}", ports.first)
                                     : fmt::format("{}-{}", ports.first, ports.last);
}

// One word stands alone, as nft lists it.
std::string any_of(const std::vector<std::string>& words) {
    return words.size() == 1 ? words[0] : fmt::format("{{ {} }}", fmt::join(words, ", "));
}

template <typename Values, typename Word>
std::string any_of(const Values& values, Word word) {
    std::vector<std::string> words;
    for (const auto& value : values) {
        words.push_back(word(value));
    }
    return any_of(words);
}

std::string_view unit_word(ConnectionRate::Unit unit) {
    switch (unit) {
    case ConnectionRate::Unit::second:
        return "second";
    case ConnectionRate::Unit::minute:
        return "minute";
    case ConnectionRate::Unit::hour:
        return "hour";
    }
    return "";
}

struct Matches {
    std::string operator()(const DispatchByMark& part) const {
        const auto key = [](const MarkTarget& t) { return fmt::format("{:#010x}", t.mark); };
        return fmt::format("ct mark & {:#010x} {}", part.mask, verdict_map(part.targets, key));
    }
    std::string operator()(const DispatchByDevice& part) const {
        const auto key = [](const DeviceTarget& t) { return fmt::format("\"{}\"", t.device); };
        return fmt::format("{} {}", device_word(part.direction), verdict_map(part.targets, key));
    }
    std::string operator()(const OnDevices& part) const {
        const auto quoted = [](const std::string& device) { return fmt::format("\"{}\"", device); };
        return fmt::format("{} {}", device_word(part.direction), any_of(part.devices, quoted));
    }
    std::string operator()(const OfFamily& part) const {
        return fmt::format("meta nfproto {}", family_word(part.family));
    }
    std::string operator()(const OfProtocol& part) const {
        return fmt::format("meta l4proto {}", part.number);
    }
    std::string operator()(const OfState& part) const {
        return fmt::format("ct state {}", state_words(part.states));
    }
    std::string operator()(const WithDestinationMapped&) const { return "ct status dnat"; }
    std::string operator()(const WithMark& part) const {
        return fmt::format("meta mark & {:#010x} == {:#010x}", part.mask, part.mark);
    }
    std::string operator()(const IsFragment& part) const {
        return part.family == Family::ipv4 ? "ip frag-off & 0x3fff != 0" : "exthdr frag exists";
    }
    std::string operator()(const FromNetwork& part) const {
        return within(AddressField::source, part.network);
    }
    std::string operator()(const ToNetwork& part) const {
        return within(AddressField::destination, part.network);
    }
    std::string operator()(const InSet& part) const {
        return fmt::format("{} {} {}@{}", ip_word(part.family), address_word(part.field),
                           part.inverted ? "!= " : "", part.set);
    }
    std::string operator()(const IsLocal& part) const {
        return fmt::format("fib {} type local", address_word(part.field));
    }
    std::string operator()(const ToPorts& part) const {
        return fmt::format("{} dport {}", nft_word(part.transport), any_of(part.ports, range));
    }
    std::string operator()(const BetweenPorts& part) const {
        return fmt::format("{0} sport {1} {0} dport {2}", nft_word(part.transport), part.source,
                           part.destination);
    }
    std::string operator()(const OfIcmpTypes& part) const {
        const auto number = [](uint8_t type) { return fmt::format("{}", type); };
        return fmt::format("{} type {}", part.family == Family::ipv4 ? "icmp" : "icmpv6",
                           any_of(part.types, number));
    }
    std::string operator()(const WithTcpFlags& part) const {
        return part.value == 0 ? fmt::format("tcp flags ! {}", flag_words(part.mask))
                               : fmt::format("tcp flags & ({}) == {}", flag_words(part.mask),
                                             flag_words(part.value));
    }
    std::string operator()(const OfDeadConnection& part) const {
        return fmt::format("{0} saddr . {0} daddr . tcp sport . tcp dport @{1}",
                           ip_word(part.family), dead_set_name(part.family));
    }
    std::string operator()(const WithinSourceLimit& part) const {
        const std::string_view source =
            part.family == Family::ipv4 ? "ip saddr" : "ip6 saddr & ffff:ffff:ffff:ffff::";
        return fmt::format("update @{} {{ {} limit rate {}/{} burst {} packets }}", part.set,
                           source, part.rate.connections, unit_word(part.rate.unit), limit_burst);
    }

  private:
    [[nodiscard]] std::string within(AddressField field, const Prefix& network) const {
        const Family family = network.family();
        return network.is_default() // nft has no word for an address of any value
                   ? (*this)(OfFamily{family})
                   : fmt::format("{} {} {}", ip_word(family), address_word(field), network.str());
    }
};

struct Words : Matches {
    using Matches::operator();
    std::string operator()(const SetMark& part) const {
        return fmt::format("meta mark set meta mark {}", with_mark(part.mask, part.mark));
    }
    std::string operator()(const SaveMark& part) const {
        return fmt::format("ct mark set ct mark {}", with_mark(part.mask, part.mark));
    }
    std::string operator()(const Count& part) const {
        return fmt::format("counter name \"{}\"", part.counter);
    }
    std::string operator()(const Log& part) const {
        return fmt::format("limit rate {}/second burst {} packets log prefix \"{}\"",
                           logged_per_second, limit_burst, part.prefix);
    }
    std::string operator()(const ClampMss& part) const {
        return fmt::format("tcp option maxseg size set {}",
                           part.size == 0 ? "rt mtu" : fmt::format("{}", part.size));
    }
    std::string operator()(const AssignHelper& part) const {
        return fmt::format("ct helper set \"{}\"", part.object);
    }
    std::string operator()(const Accept&) const { return "accept"; }
    std::string operator()(const Drop&) const { return "drop"; }
    std::string operator()(const GoTo& part) const { return fmt::format("goto {}", part.chain); }
    std::string operator()(const Masquerade&) const { return "masquerade"; }
    std::string operator()(const MapDestination& part) const {
        const bool ipv4 = part.address.family() == Family::ipv4;
        const std::string address =
            ipv4 || !part.port ? part.address.str() : fmt::format("[{}]", part.address.str());
        const std::string port = part.port ? fmt::format(":{}", *part.port) : "";
        return fmt::format("dnat {} to {}{}", ip_word(part.address.family()), address, port);
    }
    std::string operator()(const ResetTcp&) const { return "reject with tcp reset"; }
    std::string operator()(const RejectNet&) const {
        return "reject with icmpx type admin-prohibited";
    }
};

std::string comment_line(std::string_view indent, const std::string& comment) {
    return comment.empty() ? "" : fmt::format("{}comment \"{}\"\n", indent, comment);
}

std::string hook_line(const NftHook& hook) {
    return fmt::format("\t\ttype {} hook {} priority {}; policy {};\n", nft_word(hook.type),
                       nft_word(hook.point), hook.priority,
                       hook.policy == NftPolicy::accept ? "accept" : "drop");
}

struct SetLines {
    std::string operator()(const DeadSet& set) const {
        const std::string address = fmt::format("{}_addr", family_word(set.family));
        return fmt::format("\t\ttype {0} . {0} . inet_service . inet_service\n"
                           "\t\tsize {1}\n\t\ttimeout {2}m\n",
                           address, dead_set_size, dead_set_timeout.count());
    }
    std::string operator()(const PrefixSet& set) const {
        std::string lines =
            fmt::format("\t\ttype {}_addr\n\t\tflags interval\n", family_word(set.family));
        if (!set.networks.empty()) {
            std::vector<std::string> networks;
            for (const auto& network : set.networks) {
                networks.push_back(network.str());
            }
            lines += fmt::format("\t\telements = {{ {} }}\n", fmt::join(networks, ", "));
        }
        return lines;
    }
    std::string operator()(const SourceSet& set) const {
        return fmt::format("\t\ttype {}_addr\n\t\tsize {}\n\t\tflags dynamic,timeout\n"
                           "\t\ttimeout {}s\n",
                           family_word(set.family), source_set_size, set.timeout.count());
    }
};

std::string set_block(const NftSet& set) {
    return fmt::format("\n\tset {} {{\n{}\t}}\n", nft_set_name(set), std::visit(SetLines{}, set));
}

std::string helper_block(const HelperObject& object) {
    return fmt::format("\n\tct helper {} {{\n\t\ttype \"{}\" protocol {}\n\t}}\n", object.name,
                       object.helper, nft_word(object.transport));
}

std::string rule_line(const NftRule& rule) {
    std::vector<std::string> words;
    for (const auto& part : rule.parts) {
        words.push_back(std::visit(Words{}, part));
    }
    if (!rule.comment.empty()) {
        words.push_back(fmt::format("comment \"{}\"", rule.comment));
    }
    return fmt::format("\t\t{}\n", fmt::join(words, " "));
}

std::string chain_block(const NftChain& chain) {
    std::string text = fmt::format("\n\tchain {} {{\n", chain.name);
    text += comment_line("\t\t", chain.comment);
    if (chain.hook) {
        text += hook_line(*chain.hook);
    }
    for (const auto& rule : chain.rules) {
        text += rule_line(rule);
    }
    return text + "\t}\n";
}

} // namespace

std::string_view dead_set_name(Family family) { return family == Family::ipv4 ? "dead4" : "dead6"; }

std::string nft_set_name(const NftSet& set) {
    struct Name {
        std::string operator()(const DeadSet& dead) const {
            return std::string(dead_set_name(dead.family));
        }
        std::string operator()(const PrefixSet& set) const { return set.name; }
        std::string operator()(const SourceSet& set) const { return set.name; }
    };
    return std::visit(Name{}, set);
}

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
    case NftHookPoint::input:
        return "input";
    case NftHookPoint::forward:
        return "forward";
    case NftHookPoint::output:
        return "output";
    case NftHookPoint::postrouting:
        return "postrouting";
    }
    return "";
}

std::string_view nft_word(Transport transport) {
    return transport == Transport::tcp ? "tcp" : "udp";
}

std::string nft_notation(const std::string& table, const NftRuleset& ruleset) {
    std::string text = fmt::format("table inet {} {{\n", table);
    text += comment_line("\t", ruleset.comment);
    for (const auto& counter : ruleset.counters) {
        text += fmt::format("\n\tcounter {} {{\n\t}}\n", counter);
    }
    for (const auto& helper : ruleset.helpers) {
        text += helper_block(helper);
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
