// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/sysctl.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include <fcntl.h>

#include "util/fd.h"

namespace linkbal {

namespace {

constexpr auto root = "/proc/sys/";

void add_per_interface(std::vector<Sysctl>& found, const std::string& family) {
    const std::string directory = fmt::format("net/{}/conf", family);
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(root + directory, ignored)) {
        const std::string key =
            fmt::format("{}/{}/forwarding", directory, entry.path().filename().string());
        if (const auto value = read_sysctl(key)) {
            found.push_back({key, *value});
        }
    }
}

} // namespace

std::optional<std::string> read_sysctl(const std::string& key) {
    const Fd file(::open((root + key).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return std::nullopt;
    }
    std::array<char, 256> buffer{};
    const auto size = ::read(file.get(), buffer.data(), buffer.size());
    if (size <= 0) {
        return std::nullopt;
    }
    std::string value(buffer.data(), static_cast<size_t>(size));
    if (value.back() == '\n') {
        value.pop_back();
    }
    return value;
}

std::optional<uint32_t> read_sysctl_number(const std::string& key) {
    const auto text = read_sysctl(key);
    uint32_t number = 0;
    const bool read =
        text &&
        std::from_chars(text->data(), text->data() + text->size(), number).ec == std::errc();
    return read ? std::optional(number) : std::nullopt;
}

Status write_sysctl(const std::string& key, const std::string& value) {
    const std::string path = root + key;
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file || ::write(file.get(), value.data(), value.size()) < 0) {
        return fail_errno(errno, fmt::format("write {} to {}", value, path));
    }
    return {};
}

std::vector<Sysctl> side_effects_of(const std::string& key) {
    std::vector<Sysctl> found;
    if (key == "net/ipv4/ip_forward") {
        add_per_interface(found, "ipv4");
        constexpr auto redirects = "net/ipv4/conf/all/accept_redirects";
        if (const auto value = read_sysctl(redirects)) {
            found.push_back({redirects, *value});
        }
    }
    if (key == "net/ipv6/conf/all/forwarding") {
        add_per_interface(found, "ipv6");
    }
    return found;
}

} // namespace linkbal
