// SPDX-License-Identifier: GPL-2.0-or-later
// A rule of iptables(8) as a value.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/firewall_config.h"

namespace linkbal {

// What a rule asks of a packet; empty: nothing.
struct PacketMatch {
    std::string in, out;
    std::optional<Prefix> source, destination;
    std::string protocol; // "tcp", "udp", "icmp" (of both families) or as written
    std::vector<PortRange> ports, source_ports;
    std::vector<std::string> states; // "NEW", in capitals
    bool syn = false;
    bool later = false; // TCP flags that no packet has which begins a connection: ! --syn
    std::string icmp_type;
    bool fragments = false;
    std::optional<double> share; // of -m statistic: 0.5
    std::string limit;           // "3/minute"
    bool limit_per_source = false;
    std::optional<uint32_t> has_mark;
    std::string not_in; // ! -i
    std::optional<Prefix> not_source;
    std::optional<uint32_t> not_mark;
    std::string unknown; // the first option that is none of these, or a "!"
    bool operator==(const PacketMatch&) const = default;
};

struct PacketRule : PacketMatch {
    size_t command = 0; // its number in the ledger
    Family family = Family::ipv4;
    std::string table = "filter";
    std::string chain;
    std::string target; // "ACCEPT"; empty: it only counts

    // What the target is told.
    std::optional<uint32_t> set_mark;
    std::string log_prefix, to, helper;
    std::optional<uint32_t> set_mss;
    bool clamp_mss = false;

    std::vector<std::string> words; // all but the command and the chain

    // The same rule, however it is spelled: for -D.
    [[nodiscard]] bool same_as(const PacketRule& other) const;
    [[nodiscard]] bool in_chain(std::string_view name, std::string_view of_table = "filter") const {
        return chain == name && table == of_table;
    }
    // Nothing is asked but what `clear` takes out of the match: what it does not know of counts.
    [[nodiscard]] bool asks_only(auto&& clear) const {
        const PacketMatch& match = *this;
        PacketMatch rest = match;
        clear(rest);
        return rest == PacketMatch{};
    }
    // Nothing is asked of the packet but perhaps the device that it comes by.
    [[nodiscard]] bool takes_all() const {
        return asks_only([](PacketMatch& match) { match.in.clear(); });
    }
    // Nothing is asked but from where, to where and for which ports a connection is begun.
    [[nodiscard]] bool asks_for_ends() const;
    // Only packets of connections that are known already.
    [[nodiscard]] bool only_known() const;
    [[nodiscard]] bool only_invalid() const;
    // By their state packets that begin a connection are among those that it takes.
    [[nodiscard]] bool opens() const { return !later && (states.empty() || has_state("NEW")); }
    [[nodiscard]] bool has_state(std::string_view state) const;
};

struct ChainPolicy {
    size_t command = 0;
    bool drops = false;
};

// A command line of iptables: a rule, or what is done with rules.
struct PacketCommand {
    enum class Kind : uint8_t {
        append,
        insert,
        remove,
        replace,
        policy,
        flush,
        other
    } kind = Kind::other;
    std::optional<uint32_t> position; // in the chain, from 1
    PacketRule rule;
    std::string policy;
    std::string name; // "-N"
};

// `words` are those behind the program's name.
[[nodiscard]] PacketCommand packet_command(std::span<const std::string> words, Family family);

// "ipv4 INPUT", for a map of policies.
[[nodiscard]] std::string policy_key(Family family, std::string_view chain);

} // namespace linkbal
