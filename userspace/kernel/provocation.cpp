// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/provocation.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <random>

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "util/fd.h"

namespace linkbal {

namespace {

constexpr size_t batch = 256;

// With FIN conntrack takes the segment for invalid and begins no entry for it, which would turn the
// client's answer into one of an established connection (tcp_conntracks[] in the kernel: FIN in
// state NONE). Where timestamps were negotiated a segment without is dropped in silence (RFC 7323,
// 3.2), one with any value is answered, too (5.3); without, the option means nothing. Data, because
// Linux answers empty segments twice a second at most (tcp_invalid_ratelimit).
struct [[gnu::packed]] Segment {
    tcphdr tcp;
    std::array<uint8_t, 12> timestamps;
    uint8_t data;
};
constexpr std::array<uint8_t, 4> timestamps_option{TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMP,
                                                   TCPOLEN_TIMESTAMP};

// RFC 1071, over parts that are each of even length but the last.
class Checksum {
  public:
    Checksum& add(std::span<const uint8_t> bytes) {
        for (size_t i = 0; i < bytes.size(); ++i) {
            sum_ += i % 2 == 0 ? uint32_t{bytes[i]} << 8U : uint32_t{bytes[i]};
        }
        return *this;
    }
    Checksum& add(uint32_t number) {
        sum_ += number;
        return *this;
    }
    [[nodiscard]] uint16_t wire() const {
        uint32_t folded = (sum_ & 0xffffU) + (sum_ >> 16U);
        folded = (folded & 0xffffU) + (folded >> 16U);
        return htons(static_cast<uint16_t>(~folded));
    }

  private:
    uint32_t sum_ = 0;
};

template <typename T>
std::span<const uint8_t> bytes_of(const T& object) {
    return {reinterpret_cast<const uint8_t*>(&object), sizeof object};
}

Segment segment(const TcpConnection& connection, uint32_t sequence, uint32_t acknowledged) {
    Segment made{};
    made.tcp.th_sport = htons(connection.server_port);
    made.tcp.th_dport = htons(connection.client_port);
    made.tcp.th_seq = htonl(sequence);
    made.tcp.th_ack = htonl(acknowledged);
    made.tcp.th_off = (sizeof made.tcp + sizeof made.timestamps) / 4;
    made.tcp.th_flags = TH_FIN | TH_ACK;
    std::ranges::copy(timestamps_option, made.timestamps.begin());
    std::memcpy(&made.timestamps[4], &sequence, sizeof sequence); // any value
    made.tcp.th_sum = Checksum()
                          .add(connection.server.bytes())
                          .add(connection.client.bytes())
                          .add(IPPROTO_TCP)
                          .add(sizeof made)
                          .add(bytes_of(made))
                          .wire();
    return made;
}

iphdr ipv4_header(const TcpConnection& connection) {
    iphdr ip{};
    ip.version = 4;
    ip.ihl = sizeof ip / 4;
    ip.ttl = 64;
    ip.protocol = IPPROTO_TCP;
    ip.tot_len = htons(sizeof ip + sizeof(Segment));
    std::memcpy(&ip.saddr, connection.server.bytes().data(), sizeof ip.saddr);
    std::memcpy(&ip.daddr, connection.client.bytes().data(), sizeof ip.daddr);
    ip.check = Checksum().add(bytes_of(ip)).wire();
    return ip;
}

ip6_hdr ipv6_header(const TcpConnection& connection) {
    ip6_hdr ip{};
    ip.ip6_flow = htonl(6U << 28U);
    ip.ip6_plen = htons(sizeof(Segment));
    ip.ip6_nxt = IPPROTO_TCP;
    ip.ip6_hlim = 64;
    std::memcpy(&ip.ip6_src, connection.server.bytes().data(), sizeof ip.ip6_src);
    std::memcpy(&ip.ip6_dst, connection.client.bytes().data(), sizeof ip.ip6_dst);
    return ip;
}

template <typename Header>
std::vector<uint8_t> joined(const Header& ip, const Segment& tcp) {
    const auto head = bytes_of(ip);
    const auto tail = bytes_of(tcp);
    std::vector<uint8_t> packet(head.begin(), head.end());
    packet.insert(packet.end(), tail.begin(), tail.end());
    return packet;
}

// Raw sockets take ports of IPv6 addresses for protocols: 0.
sockaddr_storage destination(const IpAddress& address) {
    sockaddr_storage to{};
    if (address.family() == Family::ipv4) {
        auto& ipv4 = reinterpret_cast<sockaddr_in&>(to);
        ipv4.sin_family = AF_INET;
        std::memcpy(&ipv4.sin_addr, address.bytes().data(), sizeof ipv4.sin_addr);
    } else {
        auto& ipv6 = reinterpret_cast<sockaddr_in6&>(to);
        ipv6.sin6_family = AF_INET6;
        std::memcpy(&ipv6.sin6_addr, address.bytes().data(), sizeof ipv6.sin6_addr);
    }
    return to;
}

struct Outgoing {
    std::vector<uint8_t> packet;
    sockaddr_storage to;
    iovec part;
};

// What the kernel refuses (no route, no neighbour, somebody's firewall) is passed over.
size_t send_all(int socket, std::vector<Outgoing>& packets) {
    std::vector<mmsghdr> messages(packets.size());
    for (size_t i = 0; i < packets.size(); ++i) {
        packets[i].part = {packets[i].packet.data(), packets[i].packet.size()};
        messages[i].msg_hdr.msg_name = &packets[i].to;
        messages[i].msg_hdr.msg_namelen =
            packets[i].to.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        messages[i].msg_hdr.msg_iov = &packets[i].part;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    size_t sent = 0;
    for (size_t next = 0; next < messages.size();) {
        const int done =
            sendmmsg(socket, &messages[next], static_cast<unsigned>(messages.size() - next), 0);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        sent += static_cast<size_t>(std::max(done, 0));
        next += static_cast<size_t>(std::max(done, 1));
    }
    return sent;
}

// IPPROTO_RAW: the packets bring their IP headers along.
Result<size_t> provoke_family(Family family, std::span<const TcpConnection> connections,
                              std::mt19937& numbers) {
    Fd socket;
    std::vector<Outgoing> packets;
    size_t sent = 0;
    for (size_t i = 0; i <= connections.size(); ++i) {
        if (packets.size() == batch || (i == connections.size() && !packets.empty())) {
            sent += send_all(socket.get(), packets);
            packets.clear();
        }
        if (i == connections.size() || connections[i].client.family() != family) {
            continue;
        }
        if (!socket) {
            const int domain = socket_family(family);
            socket.reset(::socket(domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
        }
        if (!socket) {
            return fail_errno(errno, "raw socket (CAP_NET_RAW is needed)");
        }
        packets.push_back({provoking_packet(connections[i], static_cast<uint32_t>(numbers()),
                                            static_cast<uint32_t>(numbers())),
                           destination(connections[i].client),
                           {}});
    }
    return sent;
}

} // namespace

std::vector<uint8_t> provoking_packet(const TcpConnection& connection, uint32_t sequence,
                                      uint32_t acknowledged) {
    const Segment tcp = segment(connection, sequence, acknowledged);
    return connection.client.family() == Family::ipv4 ? joined(ipv4_header(connection), tcp)
                                                      : joined(ipv6_header(connection), tcp);
}

// Nobody here knows the connection's sequence numbers. A random one is within a window of 4 MB once
// in a thousand, and then the acknowledgement, random too, is out of bounds and answered as well
// (RFC 5961, 5.2), or the data is out of order and answered.
Result<size_t> provoke(std::span<const TcpConnection> connections) {
    std::mt19937 numbers(std::random_device{}());
    size_t sent = 0;
    for (const Family family : families) {
        const auto some = provoke_family(family, connections, numbers);
        if (!some) {
            return tl::unexpected(some.error().within("provoke clients"));
        }
        sent += *some;
    }
    return sent;
}

} // namespace linkbal
