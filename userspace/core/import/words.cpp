// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/words.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include <fmt/format.h>

namespace linkbal {

namespace {

constexpr size_t longest_name = 15;

// Of /etc/services, those that firewall scripts name.
constexpr std::array<std::pair<std::string_view, uint16_t>, 24> services{{
    {"ftp", 21},      {"ssh", 22},    {"telnet", 23}, {"smtp", 25},    {"domain", 53},
    {"bootps", 67},   {"bootpc", 68}, {"tftp", 69},   {"http", 80},    {"www", 80},
    {"kerberos", 88}, {"pop3", 110},  {"auth", 113},  {"ntp", 123},    {"imap", 143},
    {"imap2", 143},   {"snmp", 161},  {"ldap", 389},  {"https", 443},  {"submission", 587},
    {"imaps", 993},   {"pop3s", 995}, {"sip", 5060},  {"mysql", 3306},
}};

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::optional<uint32_t> number(std::string_view digits, int base) {
    uint32_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    return error == std::errc{} && end == digits.data() + digits.size() ? std::optional(value)
                                                                        : std::nullopt;
}

std::optional<uint16_t> port_number(std::string_view word) {
    const auto* const service =
        std::ranges::find(services, word, &std::pair<std::string_view, uint16_t>::first);
    if (service != services.end()) {
        return service->second;
    }
    const auto value = number(word, 10);
    return value && *value <= 65535 ? std::optional(static_cast<uint16_t>(*value)) : std::nullopt;
}

// "24" or "255.255.255.0"
std::optional<unsigned> mask_length(std::string_view word, const IpAddress& address) {
    if (const auto length = number(word, 10)) {
        return *length <= address.bits() ? length : std::nullopt;
    }
    const auto mask = IpAddress::parse(word);
    if (!mask || mask->family() != Family::ipv4 || address.family() != Family::ipv4) {
        return std::nullopt;
    }
    uint32_t bits = 0;
    for (const uint8_t byte : mask->bytes()) {
        bits = bits << 8 | byte;
    }
    const auto length = static_cast<unsigned>(std::countl_one(bits));
    return std::popcount(bits) == static_cast<int>(length) ? std::optional(length) : std::nullopt;
}

} // namespace

std::optional<uint32_t> number_word(std::string_view word) {
    const bool hex = word.starts_with("0x") || word.starts_with("0X");
    return number(hex ? word.substr(2) : word, hex ? 16 : 10);
}

std::optional<Prefix> network_word(std::string_view word, Family family) {
    if (word == "any" || word == "default" || word == "all" || word == "0/0" || word == "::/0") {
        return Prefix::any(family);
    }
    const size_t slash = word.find('/');
    const auto address = IpAddress::parse(word.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    const auto length = slash == std::string_view::npos
                            ? std::optional<unsigned>(address->bits())
                            : mask_length(word.substr(slash + 1), *address);
    return length ? std::optional(Prefix(*address, *length)) : std::nullopt;
}

std::optional<PortRange> port_word(std::string_view word) {
    size_t separator = word.find(':');
    if (const auto whole = port_number(word)) {
        return PortRange{*whole, *whole};
    }
    separator = separator == std::string_view::npos ? word.find('-') : separator;
    if (separator == std::string_view::npos) {
        return std::nullopt;
    }
    const auto low = word.substr(0, separator);
    const auto high = word.substr(separator + 1);
    const auto first = low.empty() ? std::optional<uint16_t>(uint16_t{1}) : port_number(low);
    const auto last = high.empty() ? std::optional<uint16_t>(uint16_t{65535}) : port_number(high);
    return first && last && *first <= *last ? std::optional(PortRange{*first, *last})
                                            : std::nullopt;
}

std::optional<std::vector<PortRange>> port_words(std::string_view word) {
    std::vector<PortRange> ports;
    for (const auto part : split_words(word, ",")) {
        const auto range = port_word(part);
        if (!range || range->first == 0) {
            return std::nullopt;
        }
        ports.push_back(*range);
    }
    return ports.empty() ? std::nullopt : std::optional(std::move(ports));
}

bool is_device_word(std::string_view word) {
    return !word.empty() && word.size() <= longest_name && word != "lo" &&
           is_alphanumeric(word.front()) && std::ranges::all_of(word, [](char c) {
               return is_alphanumeric(c) ||
                      std::string_view("._-@").find(c) != std::string_view::npos;
           });
}

bool is_table_word(std::string_view word) {
    static constexpr std::array<std::string_view, 5> reserved{"main", "local", "default", "unspec",
                                                              "all"};
    return is_device_word(word) && word.find('@') == std::string_view::npos && !number_word(word) &&
           std::ranges::find(reserved, word) == reserved.end() &&
           word.find_first_not_of("0123456789") != std::string_view::npos;
}

std::vector<std::string_view> split_words(std::string_view text, std::string_view separators) {
    std::vector<std::string_view> words;
    for (size_t at = 0; at < text.size();) {
        const size_t begin = std::min(text.find_first_not_of(separators, at), text.size());
        at = std::min(text.find_first_of(separators, begin), text.size());
        if (begin < at) {
            words.push_back(text.substr(begin, at - begin));
        }
    }
    return words;
}

} // namespace linkbal
