// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/netlink.h"

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

#include <linux/netlink.h>

namespace linkbal {

namespace {

// Enough for a multipath route of 255 next hops in either family (28 bytes each).
constexpr size_t message_capacity = 16384;
// What the kernel fills at most in one datagram of a dump.
constexpr size_t receive_capacity = 65536;
constexpr int dump_attempts = 16;

struct ErrorAttributes {
    std::string_view text;
};

int collect_error_attribute(const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG) {
        static_cast<ErrorAttributes*>(data)->text = mnl_attr_get_str(attribute);
    }
    return MNL_CB_OK;
}

// The kernel's sentence (NLMSGERR_ATTR_MSG) in an NLMSG_ERROR or NLMSG_DONE, whose attributes begin
// at `offset`; empty where there is none.
std::string_view extended_ack(const nlmsghdr* message, size_t offset) {
    if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) {
        return {};
    }
    ErrorAttributes found;
    mnl_attr_parse(message, static_cast<unsigned>(MNL_ALIGN(offset)), collect_error_attribute,
                   &found);
    return found.text;
}

tl::unexpected<Error> kernel_error(int code, std::string_view words, std::string_view what) {
    auto result = fail_errno(code, what);
    if (!words.empty()) {
        result.value().message += fmt::format(" ({})", words);
    }
    return result;
}

tl::unexpected<Error> request_error(const nlmsghdr* message, std::string_view what) {
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
    // The request follows the error, whole unless NETLINK_CAP_ACK cut it down to its header.
    size_t offset = sizeof(*error);
    if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) {
        offset += error->msg.nlmsg_len - sizeof(nlmsghdr);
    }
    return kernel_error(-error->error, extended_ack(message, offset), what);
}

// A dump that fails after it was begun ends in an NLMSG_DONE with the error in it (netlink_dump() in
// net/netlink/af_netlink.c).
Status check_done(const nlmsghdr* message, std::string_view what) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(int)) {
        return {};
    }
    const int code = *static_cast<const int*>(mnl_nlmsg_get_payload(message));
    return code < 0 ? Status(kernel_error(-code, extended_ack(message, sizeof(int)), what))
                    : Status{};
}

} // namespace

NetlinkMessage::NetlinkMessage(uint16_t type, uint16_t flags, const void* family_header,
                               size_t size)
    : buffer_(message_capacity / sizeof(uint64_t)) {
    nlmsghdr* head = mnl_nlmsg_put_header(buffer_.data());
    head->nlmsg_type = type;
    head->nlmsg_flags = flags;
    std::memcpy(mnl_nlmsg_put_extra_header(head, size), family_header, size);
}

void NetlinkMessage::put(uint16_t attribute, uint8_t value) {
    mnl_attr_put_u8(header(), attribute, value);
}
void NetlinkMessage::put(uint16_t attribute, uint32_t value) {
    mnl_attr_put_u32(header(), attribute, value);
}
void NetlinkMessage::put(uint16_t attribute, std::string_view text) {
    mnl_attr_put_strz(header(), attribute, std::string(text).c_str());
}
void NetlinkMessage::put(uint16_t attribute, const IpAddress& address) {
    put(attribute, address.bytes());
}
void NetlinkMessage::put(uint16_t attribute, std::span<const uint8_t> bytes) {
    mnl_attr_put(header(), attribute, bytes.size(), bytes.data());
}

void NetlinkMessage::nest(uint16_t attribute, const std::function<void(NetlinkMessage&)>& body) {
    // Not mnl_attr_nest_start: it sets NLA_F_NESTED, which RTA_MULTIPATH does not take.
    auto* start = static_cast<nlattr*>(mnl_nlmsg_get_payload_tail(header()));
    start->nla_type = attribute;
    header()->nlmsg_len += MNL_ALIGN(sizeof(nlattr));
    body(*this);
    const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(header()));
    start->nla_len = static_cast<uint16_t>(end - reinterpret_cast<const char*>(start));
}

void NetlinkMessage::append(const void* data, size_t size) {
    assert(header()->nlmsg_len + MNL_ALIGN(size) <= message_capacity);
    std::memcpy(mnl_nlmsg_get_payload_tail(header()), data, size);
    header()->nlmsg_len += static_cast<uint32_t>(MNL_ALIGN(size));
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
    mnl_socket* raw = mnl_socket_open2(protocol, SOCK_CLOEXEC);
    if (raw == nullptr) {
        return fail_errno(errno, "open netlink socket");
    }
    NetlinkSocket socket(raw);
    int on = 1;
    // Each makes answers better and none is needed: kernels that lack one refuse, and that is fine.
    for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK}) {
        mnl_socket_setsockopt(raw, option, &on, sizeof(on));
    }
    if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) < 0) {
        return fail_errno(errno, "bind netlink socket");
    }
    return socket;
}

Status NetlinkSocket::send(NetlinkMessage& message, uint16_t flags, std::string_view what) {
    nlmsghdr* head = message.header();
    head->nlmsg_flags |= static_cast<uint16_t>(NLM_F_REQUEST | flags);
    head->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), head, head->nlmsg_len) < 0) {
        return fail_errno(errno, what);
    }
    return {};
}

Status NetlinkSocket::request(NetlinkMessage message, std::string_view what) {
    if (auto sent = send(message, NLM_F_ACK, what); !sent) {
        return sent;
    }
    std::vector<char> buffer(receive_capacity);
    for (;;) {
        const auto size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            return fail_errno(errno, what);
        }
        const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer.data());
        if (answer->nlmsg_seq != sequence_ || answer->nlmsg_type != NLMSG_ERROR) {
            continue; // left over from a dump that was given up
        }
        const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer));
        return error->error == 0 ? Status{} : Status(request_error(answer, what));
    }
}

Result<NetlinkSocket::DumpPart>
NetlinkSocket::read_dump(std::string_view what,
                         const std::function<void(const nlmsghdr*)>& handle) {
    static thread_local std::vector<char> buffer(receive_capacity);
    const auto received = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (received < 0) {
        return errno == EINTR ? Result<DumpPart>(DumpPart{})
                              : Result<DumpPart>(fail_errno(errno, what));
    }
    DumpPart part;
    int left = static_cast<int>(received);
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        if (message->nlmsg_seq != sequence_) {
            continue;
        }
        part.interrupted |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (message->nlmsg_type == NLMSG_DONE) {
            if (const auto ended = check_done(message, what); !ended) {
                return tl::unexpected(ended.error());
            }
            part.done = true;
            break;
        }
        if (message->nlmsg_type == NLMSG_ERROR) {
            return request_error(message, what);
        }
        handle(message);
    }
    return part;
}

Status NetlinkSocket::dump(const NetlinkMessage& request, std::string_view what,
                           const std::function<void(const nlmsghdr*)>& handle,
                           const std::function<void()>& restart) {
    for (int attempt = 0; attempt < dump_attempts; ++attempt) {
        NetlinkMessage message = request;
        if (auto sent = send(message, NLM_F_DUMP, what); !sent) {
            return sent;
        }
        DumpPart all;
        while (!all.done) {
            const auto part = read_dump(what, handle);
            if (!part) {
                return tl::unexpected(part.error());
            }
            all.done = part->done;
            all.interrupted |= part->interrupted;
        }
        if (!all.interrupted) {
            return {};
        }
        restart();
    }
    return fail("{}: the tables change faster than they can be read", what);
}

} // namespace linkbal
