// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nfnetlink.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

namespace linkbal {

namespace {

// Refusals of a batch wait in the receive buffer, each charged with several hundred bytes.
constexpr int receive_room = 4 << 20;

// The forced kind is not held by net.core.{r,w}mem_max but wants CAP_NET_ADMIN, as all of this
// does.
void set_buffer(int fd, int forced, int plain, int bytes) {
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0) {
        setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
    }
}

// The attributes of an error follow the header of the message it is about (NETLINK_CAP_ACK).
std::string extended_words(const nlmsghdr& answer) {
    std::string words;
    if ((answer.nlmsg_flags & NLM_F_ACK_TLVS) == 0) {
        return words;
    }
    for_each_attribute(answer, sizeof(nlmsgerr), [&](const nlattr* attribute) {
        if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG) {
            const auto* text = static_cast<const char*>(mnl_attr_get_payload(attribute));
            words.assign(text, strnlen(text, mnl_attr_get_payload_len(attribute)));
        }
    });
    return words;
}

KernelRefusal refusal_of(const nlmsghdr& answer) {
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&answer));
    return {error->msg.nlmsg_seq, -error->error, error->error == 0 ? "" : extended_words(answer)};
}

Status check_done(const nlmsghdr& answer) {
    if (mnl_nlmsg_get_payload_len(&answer) >= sizeof(int)) {
        const int code = *static_cast<const int*>(mnl_nlmsg_get_payload(&answer));
        if (code < 0) {
            return refused({answer.nlmsg_seq, -code, extended_words(answer)}, "netfilter dump");
        }
    }
    return {};
}

} // namespace

const nlattr* find_attribute(const nlmsghdr& message, uint16_t type) {
    const nlattr* found = nullptr;
    for_each_attribute(message, sizeof(nfgenmsg), [&](const nlattr* attribute) {
        found = mnl_attr_get_type(attribute) == type ? attribute : found;
    });
    return found;
}

NfnetlinkMessage make_message(uint8_t subsystem, uint8_t type, uint8_t family, uint16_t flags,
                              const std::function<void(nlmsghdr*)>& fill, size_t room) {
    NfnetlinkMessage message(room);
    nlmsghdr* head = mnl_nlmsg_put_header(message.data());
    head->nlmsg_type = static_cast<uint16_t>(subsystem << 8 | type);
    head->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(head, sizeof(nfgenmsg)));
    netfilter->nfgen_family = family;
    netfilter->version = NFNETLINK_V0;
    if (fill) {
        fill(head);
    }
    message.resize(MNL_ALIGN(head->nlmsg_len));
    message.shrink_to_fit();
    return message;
}

tl::unexpected<Error> refused(const KernelRefusal& refusal, std::string_view what) {
    const std::string said = refusal.words.empty() ? "" : fmt::format(": {}", refusal.words);
    const std::string_view need = refusal.code == EPERM ? " (CAP_NET_ADMIN is needed)" : "";
    return fail_errno(refusal.code, fmt::format("{}{}{}", what, said, need));
}

Result<NfnetlinkSocket> NfnetlinkSocket::open() {
    NfnetlinkSocket opened(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
    if (!opened.socket_) {
        return fail_errno(errno, "netfilter netlink socket");
    }
    if (mnl_socket_bind(opened.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
        return fail_errno(errno, "bind of a netfilter netlink socket");
    }
    int on = 1;
    mnl_socket_setsockopt(opened.socket_.get(), NETLINK_EXT_ACK, &on, sizeof on);
    mnl_socket_setsockopt(opened.socket_.get(), NETLINK_CAP_ACK, &on, sizeof on);
    set_buffer(mnl_socket_get_fd(opened.socket_.get()), SO_RCVBUFFORCE, SO_RCVBUF, receive_room);
    return opened;
}

Status NfnetlinkSocket::send(std::span<const uint8_t> bytes) {
    ssize_t sent = 0;
    do {
        sent = mnl_socket_sendto(socket_.get(), bytes.data(), bytes.size());
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? Status(fail_errno(errno, "send to netfilter")) : Status();
}

// Empty when there is nothing to read and `flags` has MSG_DONTWAIT.
Result<std::span<const uint8_t>> NfnetlinkSocket::receive(int flags) {
    ssize_t got = 0;
    do {
        got = recv(mnl_socket_get_fd(socket_.get()), buffer_.data(), buffer_.size(),
                   flags | MSG_TRUNC);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return std::span<const uint8_t>{};
    }
    if (got < 0) {
        return fail_errno(errno, "receive from netfilter");
    }
    if (static_cast<size_t>(got) > buffer_.size()) {
        return fail("receive from netfilter: an answer of {} bytes", got);
    }
    return std::span<const uint8_t>(buffer_).first(static_cast<size_t>(got));
}

Status NfnetlinkSocket::request(NfnetlinkMessage message,
                                const std::function<void(const nlmsghdr&)>& each) {
    const bool dump = (header(message)->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    header(message)->nlmsg_seq = ++sequence_;
    header(message)->nlmsg_flags |= dump ? 0 : NLM_F_ACK;
    if (auto sent = send(message); !sent) {
        return sent;
    }
    bool interrupted = false;
    while (true) {
        const auto bytes = receive(0);
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        if (const auto end = read_answer(*bytes, interrupted, each)) {
            return *end;
        }
    }
}

std::optional<Status>
NfnetlinkSocket::read_answer(std::span<const uint8_t> bytes, bool& interrupted,
                             const std::function<void(const nlmsghdr&)>& each) const {
    int left = static_cast<int>(bytes.size());
    for (const auto* m = reinterpret_cast<const nlmsghdr*>(bytes.data()); mnl_nlmsg_ok(m, left);
         m = mnl_nlmsg_next(m, &left)) {
        if (m->nlmsg_seq != sequence_) {
            continue; // left over from a request that failed
        }
        interrupted |= (m->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (m->nlmsg_type == NLMSG_ERROR) {
            const KernelRefusal refusal = refusal_of(*m);
            return refusal.code == 0 ? Status() : Status(refused(refusal, "netfilter"));
        }
        if (m->nlmsg_type == NLMSG_DONE) {
            return interrupted ? Status(fail_errno(EINTR, "netfilter dump")) : check_done(*m);
        }
        if (each && m->nlmsg_type >= NLMSG_MIN_TYPE) {
            each(*m);
        }
    }
    return std::nullopt;
}

Result<std::vector<KernelRefusal>> NfnetlinkSocket::transact(std::span<const uint8_t> messages) {
    // The whole batch must fit the send buffer, or the kernel says EMSGSIZE.
    const int room = std::max(static_cast<int>(messages.size()) * 2, 1 << 16);
    set_buffer(mnl_socket_get_fd(socket_.get()), SO_SNDBUFFORCE, SO_SNDBUF, room);
    if (auto sent = send(messages); !sent) {
        return tl::unexpected(sent.error());
    }
    std::vector<KernelRefusal> refusals;
    while (true) {
        const auto bytes = receive(MSG_DONTWAIT);
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        if (bytes->empty()) {
            return refusals;
        }
        int left = static_cast<int>(bytes->size());
        for (const auto* m = reinterpret_cast<const nlmsghdr*>(bytes->data());
             mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
            if (m->nlmsg_type == NLMSG_ERROR && refusal_of(*m).code != 0) {
                refusals.push_back(refusal_of(*m));
            }
        }
    }
}

} // namespace linkbal
