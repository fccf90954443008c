// SPDX-License-Identifier: GPL-2.0-or-later
// The options of iptables(8) that have a value.
#include "core/import/options.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "core/import/words.h"

namespace linkbal {

namespace {

std::string raised(std::string_view text) {
    std::string upper(text);
    std::ranges::transform(upper, upper.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    });
    return upper;
}

std::string lowered(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return lower;
}

std::string protocol_name(std::string_view word) {
    static const std::map<std::string, std::string, std::less<>> names{
        {"all", ""},    {"0", ""},          {"6", "tcp"},          {"17", "udp"},
        {"1", "icmp"},  {"icmpv6", "icmp"}, {"ipv6-icmp", "icmp"}, {"58", "icmp"},
        {"2", "igmp"},  {"47", "gre"},      {"50", "esp"},         {"51", "ah"},
        {"89", "ospf"}, {"112", "vrrp"}};
    const std::string lower = lowered(word);
    const auto found = names.find(lower);
    return found == names.end() ? lower : found->second;
}

// Between 0 and 1; strtod() would follow the locale, which is never set.
std::optional<double> fraction(const std::string& word) {
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    return end != word.c_str() && *end == '\0' && value > 0 && value <= 1 ? std::optional(value)
                                                                          : std::nullopt;
}

bool set_network(std::optional<Prefix>& field, const std::string& word, Family family) {
    const auto network = network_word(word, family);
    if (network && !network->is_default()) {
        field = *network;
    }
    return network.has_value();
}

bool set_ports(std::vector<PortRange>& field, const std::string& word) {
    auto ports = port_words(word);
    field = ports ? std::move(*ports) : field;
    return ports.has_value();
}

bool set_device(std::string& field, const std::string& word) {
    field = word;
    return word == "lo" || is_device_word(word);
}

bool set_text(std::string& field, const std::string& word) {
    field = word;
    return true;
}

// In any case of letters. Of two lists a packet would have to be in both.
bool set_states(PacketRule& rule, const std::string& word) {
    static constexpr std::array<std::string_view, 7> names{
        "NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT"};
    const bool first = rule.states.empty();
    bool known = true;
    for (const auto state : split_words(word, ",")) {
        rule.states.push_back(raised(state));
        known = known && std::ranges::find(names, rule.states.back()) != names.end();
    }
    return first && known && !rule.states.empty();
}

// MARK or MARK/MASK
bool set_mark(std::optional<uint32_t>& field, const std::string& word) {
    field = number_word(word.substr(0, word.find('/')));
    return field.has_value();
}

bool set_share(PacketRule& rule, const std::string& every) {
    const auto number = number_word(every);
    if (number && *number > 0) {
        rule.share = 1.0 / *number;
    }
    return rule.share.has_value();
}

struct Option {
    std::string_view spellings; // with spaces between them
    RuleSetter set;
};

using Rule = PacketRule;
using Word = const std::string;

// What is set is judged later; options that set nothing say how something is counted or refused.
constexpr std::array options{
    Option{"-i --in-interface", [](Rule& r, Word& v) { return set_device(r.in, v); }},
    Option{"-o --out-interface", [](Rule& r, Word& v) { return set_device(r.out, v); }},
    Option{"-s --source --src",
           [](Rule& r, Word& v) { return set_network(r.source, v, r.family); }},
    Option{"-d --destination --dst",
           [](Rule& r, Word& v) { return set_network(r.destination, v, r.family); }},
    Option{"-p --protocol --proto",
           [](Rule& r, Word& v) { return set_text(r.protocol, protocol_name(v)); }},
    Option{"--dport --destination-port --dports --destination-ports",
           [](Rule& r, Word& v) { return set_ports(r.ports, v); }},
    Option{"--sport --source-port --sports --source-ports",
           [](Rule& r, Word& v) { return set_ports(r.source_ports, v); }},
    Option{"--state --ctstate", set_states},
    Option{"--icmp-type --icmpv6-type", [](Rule& r, Word& v) { return set_text(r.icmp_type, v); }},
    Option{"--limit --hashlimit --hashlimit-upto",
           [](Rule& r, Word& v) { return set_text(r.limit, v); }},
    Option{"--hashlimit-mode",
           [](Rule& r, Word& v) {
               r.limit_per_source = v == "srcip";
               return true;
           }},
    Option{"--set-mark --set-xmark", [](Rule& r, Word& v) { return set_mark(r.set_mark, v); }},
    Option{"--mark", [](Rule& r, Word& v) { return set_mark(r.has_mark, v); }},
    Option{"--every", set_share},
    Option{"--probability",
           [](Rule& r, Word& v) {
               r.share = fraction(v);
               return r.share.has_value();
           }},
    Option{"-j --jump -g --goto", [](Rule& r, Word& v) { return set_text(r.target, v); }},
    Option{"--log-prefix", [](Rule& r, Word& v) { return set_text(r.log_prefix, v); }},
    Option{"--to-destination --to-source --to --to-ports --to-port",
           [](Rule& r, Word& v) { return set_text(r.to, v); }},
    Option{"--helper", [](Rule& r, Word& v) { return set_text(r.helper, v); }},
    Option{"--set-mss",
           [](Rule& r, Word& v) {
               r.set_mss = number_word(v);
               return r.set_mss.has_value();
           }},
    Option{"--limit-burst --hashlimit-burst --hashlimit-name --mode --packet --counter --log-level "
           "--reject-with --comment --nfmask --ctmask --mask",
           [](Rule&, Word&) { return true; }},
};

} // namespace

RuleSetter rule_setter(std::string_view option) {
    const auto* const found = std::ranges::find_if(options, [&](const Option& known) {
        const auto spellings = split_words(known.spellings, " ");
        return std::ranges::find(spellings, option) != spellings.end();
    });
    return found == options.end() ? nullptr : found->set;
}

} // namespace linkbal
