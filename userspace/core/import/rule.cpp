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
        static constexpr std::array<std::string_view, 8> harmless{
            "--save-mark",      "--restore-mark",     "-n",       "-v", "--log-tcp-options",
            "--log-ip-options", "--log-tcp-sequence", "--log-uid"};
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

// As getopt_long(3) takes them: "--jump=DROP" is two words, and so is "-jDROP".
std::vector<std::string> separated(std::span<const std::string> words) {
    static constexpr std::string_view with_value = "ADIPRtpsdiojgm";
    std::vector<std::string> result;
    for (const std::string& word : words) {
        const size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
        const bool attached =
            word.size() > 2 && word[0] == '-' && with_value.find(word[1]) != std::string_view::npos;
        const size_t end = equals != std::string::npos ? equals : attached ? 2 : word.size();
        result.push_back(word.substr(0, end));
        if (end < word.size()) {
            result.push_back(word.substr(end + (attached ? 0 : 1)));
        }
    }
    return result;
}

// Of a packet that begins a connection SYN is set, perhaps ECE and CWR as well (RFC 3168), and no other
// flag.
enum class FlagMatch : uint8_t { opening, later, some };
FlagMatch flag_match(const std::string& mask, const std::string& set) {
    const auto has = [](const std::string& flags, std::string_view flag) {
        const auto all = split_words(flags, ",");
        return flags == "ALL" || std::ranges::find(all, flag) != all.end();
    };
    const bool without_syn = has(mask, "SYN") && !has(set, "SYN");
    const bool with_others =
        std::ranges::any_of(std::array<std::string_view, 4>{"FIN", "RST", "PSH", "ACK"},
                            [&](auto flag) { return has(mask, flag) && has(set, flag); });
    return without_syn || with_others ? FlagMatch::later
           : set == "SYN"             ? FlagMatch::opening
                                      : FlagMatch::some;
}

class Reader {
  public:
    Reader(std::span<const std::string> words, Family family) : words_(separated(words)) {
        command_.rule.family = family;
    }

    PacketCommand run() {
        while (at_ < words_.size()) {
            read_option(value());
        }
        return std::move(command_);
    }

  private:
    void read_option(const std::string& word) {
        if (word == "-t" || word == "--table") {
            command_.rule.table = value();
        } else if (!read_command(word)) {
            command_.rule.words.push_back(word);
            const bool negated = word == "!";
            read_match(negated ? kept_value() : word, negated);
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
                                                         {"-R", "--replace", Kind::replace},
                                                         {"-P", "--policy", Kind::policy},
                                                         {"-F", "--flush", Kind::flush},
                                                         {"-X", "--delete-chain", Kind::other},
                                                         {"-Z", "--zero", Kind::other},
                                                         {"-N", "--new-chain", Kind::other},
                                                         {"-L", "--list", Kind::other},
                                                         {"-S", "--list-rules", Kind::other},
                                                         {"-E", "--rename-chain", Kind::other}}};
        const auto* const entry = std::ranges::find_if(
            commands, [&](const Entry& e) { return e.brief == word || e.full == word; });
        if (entry == commands.end()) {
            return false;
        }
        command_.kind = entry->kind;
        command_.name = entry->brief;
        if (at_ < words_.size() && !words_[at_].starts_with('-')) {
            command_.rule.chain = value();
        }
        if (entry->kind == Kind::policy) {
            command_.policy = value();
        } else if (entry->kind == Kind::insert || entry->kind == Kind::remove ||
                   entry->kind == Kind::replace) {
            command_.position = number();
        }
        return true;
    }

    void read_match(const std::string& word, bool negated) {
        if (word == "-m" || word == "--match") {
            const std::string name = kept_value();
            note_unknown(is_known_match(name) ? "" : "-m " + name);
        } else if (word == "--tcp-flags") {
            read_flags(negated);
        } else if (word == "-w" || word == "--wait") {
            (void)number();
        } else {
            read_value(word, negated);
        }
    }

    void read_value(const std::string& word, bool negated) {
        const RuleSetter set = rule_setter(word);
        std::string argument = set != nullptr ? kept_value() : "";
        if (argument == "!") { // as iptables was written once
            negated = true;
            argument = kept_value();
        }
        PacketRule opposite = command_.rule;
        PacketRule& rule = negated ? opposite : command_.rule;
        if (set != nullptr) {
            note_unknown(set(rule, argument) ? "" : word + " " + argument);
        } else if (!read_flag(rule, word)) {
            note_unknown(word);
        }
        if (negated) {
            note_negated(opposite);
        }
    }

    // What is negated is not kept as if it were asked for.
    void note_negated(const PacketRule& asked) {
        PacketRule& rule = command_.rule;
        if (asked.syn && !rule.syn) {
            rule.later = true;
            return;
        }
        rule.not_in = asked.in != rule.in ? asked.in : rule.not_in;
        rule.not_mark = asked.has_mark != rule.has_mark ? asked.has_mark : rule.not_mark;
        rule.not_source = asked.source != rule.source ? asked.source : rule.not_source;
        note_unknown("!");
    }

    void read_flags(bool negated) {
        const std::string mask = kept_value();
        const std::string set = kept_value();
        if (mask == "SYN,RST" && set == "SYN" && !negated) { // what TCPMSS is asked for
            return;
        }
        const FlagMatch match = flag_match(mask, set);
        if (match == FlagMatch::some || (negated && match == FlagMatch::later)) {
            note_unknown("--tcp-flags " + mask + " " + set);
        } else {
            const bool later = negated || match == FlagMatch::later;
            (later ? command_.rule.later : command_.rule.syn) = true;
        }
    }

    void note_unknown(const std::string& option) {
        if (command_.rule.unknown.empty()) {
            command_.rule.unknown = option;
        }
    }
    std::string value() { return at_ < words_.size() ? words_[at_++] : std::string(); }
    std::string kept_value() {
        command_.rule.words.push_back(value());
        return command_.rule.words.back();
    }
    std::optional<uint32_t> number() {
        const auto found = at_ < words_.size() ? number_word(words_[at_]) : std::nullopt;
        at_ += found ? 1 : 0;
        return found;
    }

    std::vector<std::string> words_;
    size_t at_ = 0;
    PacketCommand command_;
};

} // namespace

bool PacketRule::has_state(std::string_view state) const {
    return std::ranges::find(states, state) != states.end();
}

bool PacketRule::same_as(const PacketRule& other) const {
    const PacketMatch& match = *this;
    const PacketMatch& others = other;
    return family == other.family && table == other.table && chain == other.chain &&
           target == other.target && match == others && to == other.to &&
           set_mark == other.set_mark && (unknown.empty() || words == other.words);
}

bool PacketRule::only_known() const {
    const auto known = [](const std::string& state) {
        return state == "ESTABLISHED" || state == "RELATED";
    };
    return later || (!states.empty() && std::ranges::all_of(states, known));
}

bool PacketRule::only_invalid() const { return states == std::vector<std::string>{"INVALID"}; }

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
