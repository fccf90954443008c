// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/icmp_socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <vector>

#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include "daemon/descriptor.h"

namespace linkbal {

namespace {

// Finds the socket that a path has already. It lives and dies with the event loop.
class IcmpSockets : public asio::execution_context::service {
  public:
    using key_type = IcmpSockets;
    // Boost.Asio finds a service by this name.
    inline static asio::execution_context::id id; // NOLINT(readability-identifier-naming)

    explicit IcmpSockets(asio::execution_context& context) : service(context) {}

    std::vector<std::pair<ProbePath, std::weak_ptr<IcmpSocket>>> known;

  private:
    void shutdown() override { known.clear(); }
};

// ICMP of other types, and echo replies to others, do not wake this process. (Raw sockets get the IP
// header in IPv4 only, and so do their filters.)
Status set_filters(int socket, Family family, uint16_t identifier) {
    std::array<sock_filter, 5> program{{
        {BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0},
        {BPF_LD | BPF_H | BPF_IND, 0, 0, 4},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, identifier},
        {BPF_RET | BPF_K, 0, 0, UINT32_MAX},
        {BPF_RET | BPF_K, 0, 0, 0},
    }};
    if (family == Family::ipv6) {
        program[0] = {BPF_LDX | BPF_IMM, 0, 0, 0};
    }
    const sock_fprog filter{program.size(), program.data()};
    const icmp_filter types{~(1U << ICMP_ECHOREPLY)};
    icmp6_filter types6{};
    ICMP6_FILTER_SETBLOCKALL(&types6);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &types6);
    const int typed =
        family == Family::ipv4
            ? setsockopt(socket, SOL_RAW, ICMP_FILTER, &types, sizeof types)
            : setsockopt(socket, IPPROTO_ICMPV6, ICMP6_FILTER, &types6, sizeof types6);
    if (typed != 0 ||
        setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) {
        return fail_errno(errno, "filter echo replies");
    }
    return {};
}

bool is_from(const sockaddr_storage& from, const IpAddress& address) {
    const void* bytes =
        address.family() == Family::ipv4
            ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&from)->sin_addr)
            : &reinterpret_cast<const sockaddr_in6*>(&from)->sin6_addr;
    return std::memcmp(bytes, address.bytes().data(), address.bytes().size()) == 0;
}

} // namespace

IcmpSocket::IcmpSocket(asio::io_context& context, ProbePath path)
    : path_(std::move(path)), socket_(context) {
    std::random_device random;
    identifier_ = static_cast<uint16_t>(random());
    cookie_ = uint64_t{random()} << 32 | random();
}

Result<std::shared_ptr<IcmpSocket>> IcmpSocket::of(asio::io_context& context,
                                                   const ProbePath& path) {
    ProbePath key = path;
    key.gateway.reset(); // a socket's destination is its targets' business
    auto& known = asio::use_service<IcmpSockets>(context).known;
    std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
    for (const auto& [known_path, socket] : known) {
        if (known_path == key) {
            return socket.lock();
        }
    }
    std::shared_ptr<IcmpSocket> socket(new IcmpSocket(context, key));
    const auto opened = socket->open();
    if (!opened && (opened.error().code == EPERM || opened.error().code == EACCES)) {
        return tl::unexpected(opened.error());
    }
    known.emplace_back(std::move(key), socket);
    return socket;
}

Status IcmpSocket::open() {
    socket_ = asio::posix::stream_descriptor(socket_.get_executor());
    const int protocol = path_.family == Family::ipv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
    auto opened = open_probe_socket(path_, SOCK_RAW, protocol);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    if (const auto filtered = set_filters(opened->get(), path_.family, identifier_); !filtered) {
        return filtered;
    }
    if (const auto adopted = adopt(socket_, *std::move(opened)); !adopted) {
        return adopted;
    }
    wait();
    return {};
}

uint32_t IcmpSocket::add(const IpAddress& target, OnAnswer on_answer) {
    targets_.emplace(next_target_, Target{target, SocketAddress(target, 0), std::move(on_answer)});
    return next_target_++;
}

int IcmpSocket::try_send(const Target& target, std::span<const uint8_t> packet) {
    if (!socket_.is_open()) {
        return EBADF;
    }
    const auto sent = sendto(socket_.native_handle(), packet.data(), packet.size(), 0,
                             target.destination.get(), target.destination.size);
    return sent < 0 ? errno : 0;
}

void IcmpSocket::send(uint32_t target, uint64_t probe) {
    const Target& to = targets_.at(target);
    const auto packet = echo_request(path_.family, {identifier_, cookie_, target, probe});
    const int error = try_send(to, packet);
    if (error != 0 && is_worth_another_socket(error) && open()) {
        try_send(to, packet);
    }
}

void IcmpSocket::wait() {
    socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [weak = weak_from_this()](error_code error) {
                           const auto self = weak.lock();
                           if (self && !error) {
                               self->receive();
                               self->wait();
                           }
                       });
}

// All that has come, in as few system calls as it takes.
void IcmpSocket::receive() {
    constexpr size_t batch = 16;
    constexpr size_t longest = 60 + echo_size + 1; // with an IPv4 header; longer ones are foreign
    std::array<std::array<uint8_t, longest>, batch> packets; // NOLINT(*-member-init)
    std::array<sockaddr_storage, batch> from;                // NOLINT(*-member-init)
    std::array<iovec, batch> vectors{};
    std::array<mmsghdr, batch> messages{};
    for (size_t i = 0; i < batch; ++i) {
        vectors[i] = {packets[i].data(), longest};
        messages[i].msg_hdr.msg_name = &from[i];
        messages[i].msg_hdr.msg_namelen = sizeof from[i];
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (int count = batch; count == batch && socket_.is_open();) {
        count = recvmmsg(socket_.native_handle(), messages.data(), batch, 0, nullptr);
        for (int i = 0; i < count; ++i) {
            const auto at = static_cast<size_t>(i);
            handle({packets[at].data(), messages[at].msg_len}, from[at]);
            messages[at].msg_hdr.msg_namelen = sizeof from[at];
        }
    }
}

void IcmpSocket::handle(std::span<const uint8_t> packet, const sockaddr_storage& from) {
    const auto echo = parse_echo_reply(path_.family, packet);
    if (!echo || echo->identifier != identifier_ || echo->cookie != cookie_) {
        return;
    }
    const auto target = targets_.find(echo->target);
    if (target != targets_.end() && is_from(from, target->second.address)) {
        target->second.on_answer(echo->probe);
    }
}

} // namespace linkbal
