// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <system_error>

#include <unistd.h>

#include "util/file.h"

namespace linkbal {

namespace {

namespace fs = std::filesystem;

template <typename Number>
std::optional<Number> number_from(std::string_view text, int base) {
    Number value{};
    const char* const first = text.data();
    const char* const last = first + text.size();
    const auto [end, error] = std::from_chars(first, last, value, base);
    return error == std::errc{} && end == last ? std::optional(value) : std::nullopt;
}

// ::ffff:192.0.2.1, as a socket for both families sees IPv4.
IpAddress unmapped(const IpAddress& address) {
    static const Prefix mapped = *Prefix::parse("::ffff:0:0/96");
    return mapped.contains(address) ? IpAddress(address.bytes().last(4)) : address;
}

bool is_loopback(const IpAddress& address) {
    static const std::array loopbacks{*Prefix::parse("127.0.0.0/8"), *Prefix::parse("::1")};
    return std::ranges::any_of(loopbacks,
                               [&](const Prefix& prefix) { return prefix.contains(address); });
}

bool is_any(const IpAddress& address) { return address == IpAddress::any(address.family()); }

// Words of 32 bits in network order, each printed as a number of this machine's.
std::optional<IpAddress> address_from(std::string_view hex) {
    constexpr size_t digits = 8;
    std::array<uint8_t, 16> bytes{};
    if (hex.size() != digits && hex.size() != 4 * digits) {
        return std::nullopt;
    }
    for (size_t at = 0; at < hex.size(); at += digits) {
        const auto word = number_from<uint32_t>(hex.substr(at, digits), 16);
        if (!word) {
            return std::nullopt;
        }
        std::memcpy(bytes.data() + (at / 2), &*word, sizeof(*word));
    }
    return unmapped(IpAddress(std::span(bytes).first(hex.size() / 2)));
}

// "0100007F:0016"
struct End {
    IpAddress address;
    uint16_t port;
};
std::optional<End> end_from(std::string_view text) {
    const size_t colon = text.find(':');
    const auto address = address_from(text.substr(0, colon));
    const auto port = colon == std::string_view::npos
                          ? std::nullopt
                          : number_from<uint16_t>(text.substr(colon + 1), 16);
    return address && port ? std::optional(End{*address, *port}) : std::nullopt;
}

// From the kernel's include/net/tcp_states.h.
TcpSocket::State state_from(std::string_view hex) {
    return hex == "01"   ? TcpSocket::State::established
           : hex == "0A" ? TcpSocket::State::listening
                         : TcpSocket::State::other;
}

// "0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 ..."
std::optional<TcpSocket> socket_from(const std::string& line) {
    // Number, local, remote, state, queues, timer, retransmissions, user, timeout, inode.
    std::array<std::string, 10> words;
    std::istringstream stream(line);
    for (auto& word : words) {
        stream >> word;
    }
    const auto ours = end_from(words[1]);
    const auto theirs = end_from(words[2]);
    const auto identity = number_from<uint64_t>(words[9], 10);
    if (!ours || !theirs || !identity) {
        return std::nullopt;
    }
    return TcpSocket{ours->address, ours->port, theirs->address, state_from(words[3]), *identity};
}

bool has_listener(const std::vector<TcpSocket>& sockets, const TcpSocket& session) {
    return std::ranges::any_of(sockets, [&](const TcpSocket& socket) {
        return socket.state == TcpSocket::State::listening && socket.port == session.port &&
               (is_any(socket.local) || socket.local == session.local);
    });
}

// The sockets that a process has open; none where it may not be looked at.
std::set<uint64_t> sockets_of(pid_t process) {
    std::set<uint64_t> inodes;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", process), ignored)) {
        const std::string target = fs::read_symlink(entry.path(), ignored).string();
        constexpr std::string_view begin = "socket:[";
        if (target.starts_with(begin) && target.ends_with(']')) {
            const auto digits =
                std::string_view(target).substr(begin.size(), target.size() - begin.size() - 1);
            inodes.insert(number_from<uint64_t>(digits, 10).value_or(0));
        }
    }
    return inodes;
}

// 0: unknown. "4711 (a name) with parentheses) S 4710 ...": the name may hold anything.
pid_t parent_of(pid_t process) {
    const auto text = read_file(fmt::format("/proc/{}/stat", process));
    const size_t name_end = text ? text->rfind(')') : std::string::npos;
    if (name_end == std::string::npos) {
        return 0;
    }
    std::istringstream rest(text->substr(name_end + 1));
    std::string state;
    pid_t parent = 0;
    rest >> state >> parent;
    return parent;
}

std::vector<TcpSocket> all_sockets() {
    std::vector<TcpSocket> all;
    for (const char* path : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
        const auto text = read_file(path);
        const auto sockets = text ? parse_proc_net_tcp(*text) : std::vector<TcpSocket>{};
        all.insert(all.end(), sockets.begin(), sockets.end());
    }
    return all;
}

// Not of process 1: it holds sockets of all kinds, and nobody's session.
std::vector<Session> sessions_of_ancestors() {
    const auto sockets = all_sockets();
    for (pid_t process = ::getpid(); process > 1; process = parent_of(process)) {
        auto sessions = incoming_sessions(sockets, sockets_of(process));
        if (!sessions.empty()) {
            return sessions;
        }
    }
    return {};
}

} // namespace

std::vector<TcpSocket> parse_proc_net_tcp(std::string_view text) {
    std::vector<TcpSocket> sockets;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        if (const auto socket = socket_from(line)) { // not the headings
            sockets.push_back(*socket);
        }
    }
    return sockets;
}

std::vector<Session> incoming_sessions(const std::vector<TcpSocket>& sockets,
                                       const std::set<uint64_t>& inodes) {
    std::vector<Session> sessions;
    for (const TcpSocket& socket : sockets) {
        if (socket.state == TcpSocket::State::established && inodes.contains(socket.inode) &&
            !is_loopback(socket.remote) && socket.remote != socket.local &&
            has_listener(sockets, socket)) {
            sessions.push_back({socket.remote, socket.local, socket.port});
        }
    }
    return sessions;
}

std::optional<Session> parse_ssh_connection(std::string_view text) {
    std::istringstream words{std::string(text)};
    std::string client;
    std::string client_port;
    std::string server;
    std::string port;
    words >> client >> client_port >> server >> port;
    // fe80::1%eth0
    const auto from = IpAddress::parse(client.substr(0, client.find('%')));
    const auto to = IpAddress::parse(server.substr(0, server.find('%')));
    const auto number = number_from<uint16_t>(port, 10);
    if (!from || !to || !number || is_loopback(unmapped(*from))) {
        return std::nullopt;
    }
    return Session{unmapped(*from), unmapped(*to), *number};
}

std::vector<Session> own_sessions() {
    const char* const said = std::getenv("SSH_CONNECTION");
    if (const auto session = said != nullptr ? parse_ssh_connection(said) : std::nullopt) {
        return {*session};
    }
    return sessions_of_ancestors();
}

} // namespace linkbal
