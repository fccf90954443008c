// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/rule.h"

#include <algorithm>
#include <array>

#include "core/import/options.h"
#include "core/import/words.h"

namespace linkbal {

namespace {

// Options without a value.
bool read_flag(PacketRule& rule, std::string_view word) {
    if (word == "-f" || word == "--fragment") {
        rule.fragments = true;
    } else if (word == "--syn") {
        rule.syn = true;
    } else if (word == "--clamp-mss-to-pmtu") {
        rule.clamp_mss = true;
    } else {
        static constexpr std::array<std::string_view, 10> harmless{"--save-mark",
                                                                   "--restore-mark",
                                                                   "-n",
                                                                   "-v",
                                                                   "-w",
                                                                   "--wait",
                                                                   "--log-tcp-options",
                                                                   "--log-ip-options",
                                                                   "--log-tcp-sequence",
                                                                   "--log-uid"};
        return std::ranges::find(harmless, word) != harmless.end();
    }
    return true;
}

bool is_known_match(std::string_view name) {
    static constexpr std::array<std::string_view, 16> names{
        "state", "conntrack", "tcp",       "udp",   "icmp",    "icmp6",     "icmpv6", "limit",
        "mark",  "statistic", "multiport", "mport", "comment", "hashlimit", "nth",    "connmark"};
    return std::ranges::find(names, name) != names.end();
}

class Reader {
  public:
    Reader(std::span<const std::string> words, Family family) : words_(words) {
        command_.rule.family = family;
    }

    PacketCommand run() {
        while (at_ < words_.size()) {
            read_option(words_[at_++]);
        }
        return std::move(command_);
    }

  private:
    void read_option(const std::string& word) {
        PacketRule& rule = command_.rule;
        if (word == "-t" || word == "--table") {
            rule.table = value();
        } else if (!read_command(word)) {
            rule.words.push_back(word);
            read_match(word);
        }
    }

    bool read_command(std::string_view word) {
        using Kind = PacketCommand::Kind;
        struct Entry {
            std::string_view brief, full;
            Kind kind;
        };
        static constexpr std::array<Entry, 12> commands{{{"-A", "--append", Kind::append},
                                                         {"-I", "--insert", Kind::insert},
                                                         {"-D", "--delete", Kind::remove},
                                                         {"-P", "--policy", Kind::policy},
                                                         {"-F", "--flush", Kind::flush},
                                                         {"-X", "--delete-chain", Kind::other},
                                                         {"-Z", "--zero", Kind::other},
                                                         {"-N", "--new-chain", Kind::other},
                                                         {"-L", "--list", Kind::other},
                                                         {"-S", "--list-rules", Kind::other},
                                                         {"-R", "--replace", Kind::other},
                                                         {"-E", "--rename-chain", Kind::other}}};
        const auto* const entry = std::ranges::find_if(
            commands, [&](const Entry& e) { return e.brief == word || e.full == word; });
        if (entry == commands.end()) {
            return false;
        }
        command_.kind = entry->kind;
        command_.policy = entry->brief; // of "other": what it is
        if (at_ < words_.size() && !words_[at_].starts_with('-')) {
            command_.rule.chain = value();
        }
        if (entry->kind == Kind::policy) {
            command_.policy = value();
        } else if (entry->kind == Kind::insert && at_ < words_.size()) {
            const auto position = number_word(words_[at_]);
            at_ += position ? 1 : 0;
            command_.position = position.value_or(1);
        }
        return true;
    }

    void read_match(const std::string& word) {
        PacketRule& rule = command_.rule;
        if (word == "-m" || word == "--match") {
            const std::string name = value();
            rule.words.push_back(name);
            note_unknown(is_known_match(name) ? "" : "-m " + name);
            return;
        }
        if (word == "--tcp-flags") {
            const std::string mask = value();
            read_flags(mask, value());
            return;
        }
        if (word == "!") {
            read_negation();
            return;
        }
        if (const RuleSetter set = rule_setter(word); set != nullptr) {
            const std::string argument = value();
            rule.words.push_back(argument);
            note_unknown(set(rule, argument) ? "" : word + " " + argument);
        } else if (!read_flag(rule, word)) {
            note_unknown(word);
        }
    }

    // Of a packet that begins a connection SYN is set, perhaps ECE and CWR as well (RFC 3168), and no
    // other flag.
    void read_flags(const std::string& mask, const std::string& set) {
        command_.rule.words.insert(command_.rule.words.end(), {mask, set});
        if (mask == "SYN,RST" && set == "SYN") { // what TCPMSS is asked for
            return;
        }
        const auto of = [](const std::string& flags, std::string_view flag) {
            const auto all = split_words(flags, ",");
            return flags == "ALL" || std::ranges::find(all, flag) != all.end();
        };
        const bool without_syn = of(mask, "SYN") && !of(set, "SYN");
        const bool with_others = std::ranges::any_of(
            std::array<std::string_view, 4>{"FIN", "RST", "PSH", "ACK"},
            [&](std::string_view flag) { return of(mask, flag) && of(set, flag); });
        if (without_syn || with_others) {
            command_.rule.later = true;
        } else if (set == "SYN") {
            command_.rule.syn = true;
        } else {
            note_unknown("--tcp-flags " + mask + " " + set);
        }
    }

    void read_negation() {
        if (at_ < words_.size() && words_[at_] == "--syn") {
            command_.rule.words.push_back(words_[at_++]);
            command_.rule.later = true;
        } else {
            command_.rule.negates = true;
            note_unknown("!");
        }
    }

    void note_unknown(const std::string& option) {
        if (command_.rule.unknown.empty()) {
            command_.rule.unknown = option;
        }
    }
    std::string value() {
        const std::string word = at_ < words_.size() ? words_[at_++] : std::string();
        command_.rule.negates =
            command_.rule.negates || word == "!"; // as iptables was written once
        return word;
    }

    std::span<const std::string> words_;
    size_t at_ = 0;
    PacketCommand command_;
};

} // namespace

bool PacketRule::has_state(std::string_view state) const {
    return std::ranges::find(states, state) != states.end();
}

bool PacketRule::only_known() const {
    const auto known = [](const std::string& state) {
        return state == "ESTABLISHED" || state == "RELATED";
    };
    return later || (!states.empty() && std::ranges::all_of(states, known));
}

bool PacketRule::asks_for_ends() const {
    return asks_only([](PacketMatch& match) {
        match.in.clear();
        match.out.clear();
        match.source.reset();
        match.destination.reset();
        match.protocol.clear();
        match.ports.clear();
        match.source_ports.clear();
        match.states.clear(); // see opens()
        match.syn = false;
    });
}

std::string policy_key(Family family, std::string_view chain) {
    return std::string(family_name(family)) + " " + std::string(chain);
}

PacketCommand packet_command(std::span<const std::string> words, Family family) {
    return Reader(words, family).run();
}

} // namespace linkbal
