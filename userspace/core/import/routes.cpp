// SPDX-License-Identifier: GPL-2.0-or-later
// ip, route and ifconfig of an imported script.
#include <algorithm>
#include <fmt/format.h>

#include "core/import/read.h"
#include "core/import/words.h"

namespace linkbal {

namespace {

constexpr auto no_addresses = "linkbal sets no addresses: keep this in the system's configuration";

// The word behind `key`, or empty.
std::string after(CommandWordSpan words, std::string_view key) {
    const auto found = std::ranges::find(words, key);
    return found == words.end() || found + 1 == words.end() ? std::string() : *(found + 1);
}

bool means(std::string_view word, std::string_view whole) {
    return !word.empty() && whole.starts_with(word);
}

// Reads "via A dev D weight N" from `at` on; false at a word that belongs to none of them.
bool read_hop_word(CommandWordSpan words, size_t& at, ScriptHop& hop) {
    const std::string& key = words[at];
    const std::string value = at + 1 < words.size() ? words[at + 1] : std::string();
    if (key == "via") {
        const bool family = value == "inet" || value == "inet6";
        at += family ? 1 : 0;
        hop.via = IpAddress::parse(family && at + 1 < words.size() ? words[at + 1] : value);
    } else if (key == "dev") {
        hop.device = value;
    } else if (key == "weight") {
        hop.weight = number_word(value).value_or(0);
    } else {
        return false;
    }
    ++at;
    return true;
}

// The words behind the destination; the first one that isn't understood, or empty.
std::string read_route_words(CommandWordSpan words, ScriptRoute& route) {
    route.hops.emplace_back();
    bool several = false;
    for (size_t at = 0; at < words.size(); ++at) {
        const std::string& key = words[at];
        const std::string value = at + 1 < words.size() ? words[at + 1] : std::string();
        if (key == "nexthop") {
            several ? void(route.hops.emplace_back()) : route.hops.assign(1, {});
            several = true;
        } else if (read_hop_word(words, at, route.hops.back())) {
            continue;
        } else if (key == "table") {
            route.table = value;
            ++at;
        } else if (key == "src") {
            route.source = IpAddress::parse(value);
            ++at;
        } else if (key == "metric" || key == "preference" || key == "priority") {
            route.metric = number_word(value).value_or(0);
            ++at;
        } else if (key == "proto" || key == "scope" || key == "equalize" || key == "onlink") {
            at += key == "proto" || key == "scope" ? 1 : 0;
        } else {
            return key;
        }
    }
    return {};
}

bool same_destination(const ScriptRoute& a, const ScriptRoute& b) {
    return a.table == b.table && a.destination == b.destination && a.metric == b.metric;
}

void add_route(CommandWordSpan words, Family family, size_t command, bool replaces,
               ScriptFacts& facts, ImportLedger& ledger) {
    ScriptRoute route;
    route.command = command;
    const auto destination = words.empty() ? std::nullopt : network_word(words.front(), family);
    if (!destination) {
        ledger.left(command, "the destination is not understood");
        return;
    }
    route.destination = *destination;
    route.family = destination->is_default() && destination->family() == Family::ipv4
                       ? family
                       : destination->family();
    if (const auto unknown = read_route_words(words.subspan(1), route); !unknown.empty()) {
        ledger.left(command, fmt::format("linkbal's routes have no \"{}\"", unknown));
        return;
    }
    if (const auto& via = route.hops.front().via; destination->is_default() && via) {
        route.family = via->family();
    }
    route.destination = destination->is_default() ? Prefix::any(route.family) : *destination;
    const auto former = std::ranges::find_if(
        facts.routes, [&](const ScriptRoute& other) { return same_destination(other, route); });
    if (former == facts.routes.end()) {
        facts.routes.push_back(std::move(route));
    } else if (replaces) {
        ledger.covered(former->command, "a later command replaces it");
        *former = std::move(route);
    } else {
        ledger.covered(command, "there is such a route already, the command fails");
    }
}

// Routes of the script itself go, others are not linkbal's.
void delete_route(CommandWordSpan words, Family family, size_t command, ScriptFacts& facts,
                  ImportLedger& ledger) {
    const auto destination = words.empty() ? std::nullopt : network_word(words.front(), family);
    const std::string table = after(words, "table").empty() ? "main" : after(words, "table");
    const auto via = IpAddress::parse(after(words, "via"));
    std::erase_if(facts.routes, [&](const ScriptRoute& route) {
        const bool gone = route.table == table && destination == route.destination &&
                          (!via || route.hops.front().via == via);
        if (gone) {
            ledger.covered(route.command, "a later command deletes it");
        }
        return gone;
    });
    ledger.covered(command, "linkbal brings its own routes and takes them away");
}

void read_ip_route(CommandWordSpan words, Family family, size_t command, ScriptFacts& facts,
                   ImportLedger& ledger) {
    const auto action = words.empty() ? std::string_view() : std::string_view(words.front());
    const auto rest = words.subspan(words.empty() ? 0 : 1);
    if (means(action, "add") || means(action, "append") || means(action, "replace") ||
        means(action, "change")) {
        add_route(rest, family, command, action.starts_with('r') || action.starts_with('c'), facts,
                  ledger);
    } else if (means(action, "delete")) {
        delete_route(rest, family, command, facts, ledger);
    } else {
        ledger.covered(command, "linkbal brings its own routes and takes them away");
    }
}

// What a rule asks for beside its source and its mark; empty if that is nothing.
void read_rule_words(CommandWordSpan words, Family family, ScriptRule& rule) {
    for (size_t at = 0; at < words.size(); at += 2) {
        const std::string_view key = words[at];
        const std::string value = at + 1 < words.size() ? words[at + 1] : std::string();
        if (key == "from") {
            const auto network = network_word(value, family);
            rule.others = rule.others || !network;
            rule.from = network && !network->is_default() ? network : std::nullopt;
        } else if (key == "fwmark") {
            rule.mark = number_word(value.substr(0, value.find('/')));
            rule.others = rule.others || !rule.mark;
        } else if (means(key, "table") || means(key, "lookup")) {
            rule.table = value;
        } else if (!means(key, "priority") && key != "pref" && !means(key, "order")) {
            rule.others = true;
        }
    }
}

void read_ip_rule(CommandWordSpan words, Family family, size_t command, ScriptFacts& facts,
                  ImportLedger& ledger) {
    if (words.empty() || !means(words.front(), "add")) {
        ledger.covered(command, "linkbal brings its own rules and takes them away");
        return;
    }
    ScriptRule rule{.command = command, .from = {}, .mark = {}, .table = "main", .others = false};
    read_rule_words(words.subspan(1), family, rule);
    facts.rules.push_back(std::move(rule));
}

void add_address(std::string_view address, std::string_view device, ScriptFacts& facts) {
    const auto own = IpAddress::parse(address.substr(0, address.find('/')));
    const auto subnet = network_word(address, Family::ipv4);
    if (own && subnet && is_device_word(device)) {
        facts.addresses.push_back({std::string(device), *own, *subnet});
    }
}

void read_ip_address(CommandWordSpan words, size_t command, ScriptFacts& facts,
                     ImportLedger& ledger) {
    if (words.size() > 1 && means(words.front(), "add")) {
        const size_t at = words[1] == "local" && words.size() > 2 ? 2 : 1;
        add_address(words[at], after(words, "dev"), facts);
    }
    ledger.left(command, no_addresses);
}

} // namespace

void read_ip(CommandWordSpan words, size_t command, ScriptFacts& facts, ImportLedger& ledger) {
    Family family = Family::ipv4;
    size_t at = 0;
    for (; at < words.size() && words[at].starts_with('-'); ++at) {
        const bool value = words[at] == "-f" || words[at] == "-family";
        at += value ? 1 : 0;
        const auto option = at < words.size() ? std::string_view(words[at]) : std::string_view();
        family = option == "-6" || option == "inet6" ? Family::ipv6 : family;
    }
    words = words.subspan(std::min(at, words.size()));
    const auto object = words.empty() ? std::string_view() : std::string_view(words.front());
    const auto rest = words.subspan(words.empty() ? 0 : 1);
    if (means(object, "route")) {
        read_ip_route(rest, family, command, facts, ledger);
    } else if (means(object, "rule")) {
        read_ip_rule(rest, family, command, facts, ledger);
    } else if (means(object, "address")) {
        read_ip_address(rest, command, facts, ledger);
    } else if (means(object, "link")) {
        ledger.left(command, "linkbal does not set up interfaces: keep this in the system's "
                             "configuration");
    }
}

// route add default gw GATEWAY [dev] [DEVICE]
void read_old_route(CommandWordSpan words, size_t command, ScriptFacts& facts,
                    ImportLedger& ledger) {
    while (!words.empty() && words.front().starts_with('-')) {
        words = words.subspan(1);
    }
    const std::string gateway = after(words, "gw");
    const bool is_default = std::ranges::find_if(words, [](const auto& word) {
                                return word == "default" || word == "0.0.0.0";
                            }) != words.end();
    if (words.empty() || !is_default) {
        ledger.left(command, "linkbal leaves the main table's other routes alone: keep this in the "
                             "system's configuration");
        return;
    }
    const bool adds = words.front() == "add";
    std::vector<std::string> modern{"default"};
    if (!gateway.empty()) {
        modern.insert(modern.end(), {"via", gateway});
    }
    const std::string device =
        !after(words, "dev").empty() ? after(words, "dev")
        : words.size() > 2 && words.back() != gateway && words.back() != "default" ? words.back()
                                                                                   : "";
    if (adds && !device.empty()) {
        modern.insert(modern.end(), {"dev", device});
    }
    adds ? add_route(modern, Family::ipv4, command, false, facts, ledger)
         : delete_route(modern, Family::ipv4, command, facts, ledger);
}

// ifconfig DEVICE ADDRESS [netmask MASK]
void read_ifconfig(CommandWordSpan words, size_t command, ScriptFacts& facts,
                   ImportLedger& ledger) {
    if (words.size() > 1) {
        const std::string mask = after(words, "netmask");
        add_address(mask.empty() || words[1].find('/') != std::string::npos ? words[1]
                                                                            : words[1] + "/" + mask,
                    words.front(), facts);
    }
    ledger.left(command, no_addresses);
}

} // namespace linkbal
