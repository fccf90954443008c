// SPDX-License-Identifier: GPL-2.0-or-later
// The imported configuration as text.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/import/import.h"
#include "core/import/words.h"
#include "core/services.h"

namespace linkbal {

namespace {

constexpr size_t width = 98;

// TOML takes neither control characters nor broken UTF-8 in a comment; scripts have old encodings.
std::string printable(std::string_view text) {
    std::string clean;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        clean += byte >= ' ' && byte < 0x7f ? c : '?';
    }
    return clean;
}

// A comment in lines of a readable width.
std::string comment(std::string_view text, std::string_view indent = " ") {
    const std::string clean = printable(text);
    std::string lines;
    std::string line;
    for (const auto word : split_words(clean, " ")) {
        const bool full = line.size() + word.size() + 1 > width;
        lines += full && !line.empty() ? line + "\n" : "";
        line = line.empty() || full ? fmt::format("#{}{}", indent, word)
                                    : fmt::format("{} {}", line, word);
    }
    return lines + (line.empty() ? "#" : line) + "\n";
}

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", text); }

std::string quoted_list(const std::vector<std::string>& words) {
    return words.empty() ? "[]" : fmt::format("[\"{}\"]", fmt::join(words, "\", \""));
}

std::vector<std::string> spelled(const std::vector<Prefix>& networks) {
    std::vector<std::string> words;
    std::ranges::transform(networks, std::back_inserter(words), &Prefix::str);
    return words;
}

// Its name, if that stands for nothing else as well.
std::string service_word(const ServicePorts& ports) {
    for (const auto& [name, meant] : known_services()) {
        if (meant == std::vector{ports}) {
            return std::string(name);
        }
    }
    return service_text(ports);
}

class Writer {
  public:
    Writer(const ImportResult& result, std::string_view name)
        : result_(result), config_(result.model.config), name_(name) {}

    std::string run() {
        write_head();
        write_lan();
        for (const UplinkConfig& uplink : config_.uplinks) {
            write_uplink(uplink);
        }
        write_balance();
        if (config_.firewall) {
            write_firewall(*config_.firewall);
        }
        for (const ForwardConfig& forward : config_.forwards) {
            write_forward(forward);
        }
        write_helpers();
        write_commands(Fate::left, "Not taken over:");
        write_commands(Fate::differs, "Taken over, but not quite the same:");
        return std::move(text_);
    }

  private:
    void section(std::string_view head) { text_ += fmt::format("\n{}\n", head); }
    void key(std::string_view name, std::string_view value) {
        text_ += fmt::format("{} = {}\n", name, value);
    }
    void notes(const std::vector<std::string>& lines) {
        for (const std::string& line : lines) {
            text_ += comment(line);
        }
    }

    void write_head() {
        text_ +=
            comment(fmt::format("What the script {} does, as linkbal.toml(5); written by linkbal "
                                "import.",
                                name_));
        text_ += comment(fmt::format("Of its {} commands {} are taken over and {} need nothing, as "
                                     "linkbal does it anyway or there is "
                                     "nothing to do. {} are taken over but not quite the same and "
                                     "{} are not: see the end of this "
                                     "file.",
                                     result_.commands.size(), result_.count(Fate::taken),
                                     result_.count(Fate::covered), result_.count(Fate::differs),
                                     result_.count(Fate::left)));
    }

    void write_lan() {
        section("[lan]");
        if (config_.lan.interfaces.empty()) {
            text_ += comment(
                "The script does not say which interface is the LAN's: write its name here.");
        }
        key("interfaces", quoted_list(config_.lan.interfaces));
        if (!config_.lan.networks.empty()) {
            key("networks", quoted_list(spelled(config_.lan.networks)));
        }
    }

    void write_uplink(const UplinkConfig& uplink) {
        section("[[uplink]]");
        key("name", quoted(uplink.name));
        key("interface", quoted(uplink.interface));
        if (uplink.gateway) {
            key("gateway", quoted(uplink.gateway->str()));
        }
        if (uplink.gateway6) {
            key("gateway6", quoted(uplink.gateway6->str()));
        }
        write_table(uplink.table, uplink.name);
        key("weight", fmt::format("{}", uplink.weight));
        if (uplink.mss.mode == MssConfig::Mode::fixed) {
            key("mss", fmt::format("{}", uplink.mss.size));
        }
    }

    void write_table(const std::optional<uint32_t>& table, std::string_view name) {
        if (table) {
            key("table", fmt::format("{}", *table));
        } else {
            text_ += comment(
                fmt::format("The script does not say the number of table {}: linkbal chooses "
                            "one.",
                            name));
        }
    }

    void write_balance() {
        const BalanceConfig& balance = config_.balance;
        section("[balance]");
        notes(result_.model.balance_notes);
        if (balance.table_name != BalanceConfig().table_name || balance.table) {
            write_table(balance.table, balance.table_name);
        }
        key("table_name", quoted(balance.table_name));
        if (balance.default_uplink) {
            key("default_uplink", quoted(*balance.default_uplink));
        }
    }

    static std::vector<std::string> origins(const Origins& from) {
        std::vector<std::string> words;
        if (from.lan) {
            words.emplace_back("lan");
        }
        if (from.uplinks) {
            words.emplace_back("uplinks");
        }
        const auto networks = spelled(from.networks);
        words.insert(words.end(), networks.begin(), networks.end());
        return words;
    }

    void write_firewall(const FirewallConfig& firewall) {
        section("[firewall]");
        notes(result_.model.firewall_notes);
        key("ping", quoted_list(origins(firewall.ping)));
        if (!firewall.dns_servers.empty()) {
            std::vector<std::string> servers;
            std::ranges::transform(firewall.dns_servers, std::back_inserter(servers),
                                   &IpAddress::str);
            key("dns_servers", quoted_list(servers));
        }
        static constexpr std::array<std::string_view, 5> kinds{"fragments", "spoofed", "invalid",
                                                               "input", "forward"};
        std::vector<std::string> logs;
        for (size_t bit = 0; bit < kinds.size(); ++bit) {
            if ((firewall.log >> bit & 1) != 0) {
                logs.emplace_back(kinds[bit]);
            }
        }
        key("log", quoted_list(logs));
        for (const AllowConfig& allow : firewall.allow) {
            write_allow(allow);
        }
    }

    void write_allow(const AllowConfig& allow) {
        std::vector<std::string> services;
        std::ranges::transform(allow.services, std::back_inserter(services), service_word);
        for (const uint8_t protocol : allow.protocols) {
            services.emplace_back(protocol_name(protocol));
        }
        section("[[firewall.allow]]");
        key("service", quoted_list(services));
        key("from", quoted_list(origins(allow.from)));
        if (allow.rate) {
            static constexpr std::array<std::string_view, 3> units{"second", "minute", "hour"};
            key("rate", quoted(fmt::format("{}/{}", allow.rate->connections,
                                           units.at(static_cast<size_t>(allow.rate->unit)))));
        }
    }

    void write_forward(const ForwardConfig& forward) {
        section("[[forward]]");
        key("protocol", quoted(transport_name(forward.protocols.front())));
        const bool range = forward.port.first != forward.port.last;
        key("port", range ? quoted(ports_text(forward.port)) : ports_text(forward.port));
        const std::string address = forward.to->str();
        const bool ipv6 = forward.to->family() == Family::ipv6;
        const std::string host = ipv6 && forward.to_port ? fmt::format("[{}]", address) : address;
        key("to", quoted(forward.to_port ? fmt::format("{}:{}", host, *forward.to_port) : host));
        if (!forward.uplinks.empty()) {
            key("uplinks", quoted_list(forward.uplinks));
        }
        if (!forward.from.empty()) {
            key("from", quoted_list(spelled(forward.from)));
        }
        if (!forward.hairpin) {
            key("hairpin", "false");
        }
    }

    void write_helpers() {
        if (!result_.model.helpers.empty()) {
            section("[helpers]");
        }
        for (const auto& [helper, ports] : result_.model.helpers) {
            key(helper, ports.empty() ? "true" : fmt::format("[{}]", fmt::join(ports, ", ")));
        }
    }

    void write_commands(Fate fate, std::string_view head) {
        bool first = true;
        for (const ImportedCommand& command : result_.commands) {
            if (command.fate != fate) {
                continue;
            }
            text_ += first ? "\n" + comment(head) : "";
            first = false;
            text_ += comment(fmt::format("line {}: {}", command.line, command.text));
            text_ += comment(fmt::format("{}", fmt::join(command.remarks, "; ")), "    ");
        }
    }

    const ImportResult& result_;
    const Config& config_;
    std::string name_;
    std::string text_;
};

} // namespace

std::string import_toml(const ImportResult& result, std::string_view name) {
    return Writer(result, name).run();
}

} // namespace linkbal
