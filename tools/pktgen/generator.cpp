// SPDX-License-Identifier: GPL-2.0-or-later
#include "generator.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <bpf/libbpf.h>

#include "frame.h"
#include "live.h"
#include <generator.skel.h>

namespace linkbal::pktgen {

namespace {

constexpr uint16_t discard_port = 9;
constexpr uint8_t time_to_live = 64;
constexpr std::array<uint8_t, 8> source_network6 = {0x20, 0x01, 0x0d, 0xb8, 0, 0x10, 0, 0};
constexpr std::array<uint8_t, 8> destination_network6 = {0x20, 0x01, 0x0d, 0xb8, 0, 0xff, 0, 0};

// Internet checksum (RFC 1071) over 16-bit words as they lie in memory: folded, not inverted.
uint16_t partial_checksum(const void* data, size_t size, uint32_t sum = 0) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint16_t word = 0;
        std::memcpy(&word, bytes + i, sizeof(word));
        sum += word;
    }
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(sum);
}

// What both families have; the checksum covers everything from the source address on.
template <typename Frame>
void complete(Frame& frame, uint16_t ethertype) {
    std::copy(gateway_mac.begin(), gateway_mac.end(), frame.ethernet.h_dest);
    std::copy(host_mac.begin(), host_mac.end(), frame.ethernet.h_source);
    frame.ethernet.h_proto = htons(ethertype);
    constexpr uint16_t udp_length = sizeof(Frame) - offsetof(Frame, udp);
    frame.udp.dest = htons(discard_port);
    frame.udp.len = htons(udp_length);
    frame.payload.magic = htonl(PKTGEN_MAGIC);

    const auto* bytes = reinterpret_cast<const uint8_t*>(&frame);
    constexpr size_t addresses = offsetof(Frame, ip) + offsetof(decltype(frame.ip), saddr);
    // The rest of the pseudo header: protocol and length.
    const uint32_t pseudo = uint32_t{htons(IPPROTO_UDP)} + htons(udp_length);
    frame.udp.check = partial_checksum(bytes + addresses, sizeof(frame) - addresses, pseudo);
}

// What all frames have in common; see generator.bpf.c for what the checksums leave open.
pktgen_frame4 common_frame4() {
    pktgen_frame4 frame{};
    frame.ip.version = 4;
    frame.ip.ihl = sizeof(iphdr) / 4;
    frame.ip.tot_len = htons(sizeof(frame) - sizeof(ethhdr));
    frame.ip.frag_off = htons(0x4000); // don't fragment
    frame.ip.ttl = time_to_live;
    frame.ip.protocol = IPPROTO_UDP;
    frame.ip.saddr = htonl(source_network);
    frame.ip.daddr = htonl(destination_network);
    complete(frame, ETH_P_IP);
    frame.ip.check = partial_checksum(&frame.ip, sizeof(iphdr));
    return frame;
}

pktgen_frame6 common_frame6() {
    pktgen_frame6 frame{};
    frame.ip.version = 6;
    frame.ip.payload_len = htons(sizeof(frame) - offsetof(pktgen_frame6, udp));
    frame.ip.nexthdr = IPPROTO_UDP;
    frame.ip.hop_limit = time_to_live;
    std::memcpy(&frame.ip.saddr, source_network6.data(), source_network6.size());
    std::memcpy(&frame.ip.daddr, destination_network6.data(), destination_network6.size());
    complete(frame, ETH_P_IPV6);
    return frame;
}

} // namespace

void Generator::Destroy::operator()(generator_bpf* skeleton) const {
    generator_bpf__destroy(skeleton);
}

Result<Generator> Generator::create(const Port& port, const Traffic& traffic) {
    const auto ifindex = enter(port);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    Generator generator;
    generator.flows_ = traffic.flows;
    generator.frame_size_ = traffic.ipv6 ? sizeof(pktgen_frame6) : sizeof(pktgen_frame4);
    generator.skeleton_.reset(generator_bpf__open());
    if (!generator.skeleton_) {
        return fail_errno(errno, "opening the generator");
    }
    generator_bpf* skeleton = generator.skeleton_.get();
    skeleton->rodata->device = *ifindex;
    skeleton->rodata->ipv6 = traffic.ipv6 ? 1 : 0;
    skeleton->rodata->first_flow = traffic.first_flow;
    skeleton->rodata->flows = traffic.flows;
    skeleton->bss->next_flow = traffic.first_flow;
    if (traffic.ipv6) {
        skeleton->bss->frame.ipv6 = common_frame6();
    } else {
        skeleton->bss->frame.ipv4 = common_frame4();
    }
    if (const int error = generator_bpf__load(skeleton); error != 0) {
        return fail_errno(-error, "loading the generator");
    }
    return generator;
}

Status Generator::send(uint32_t frames) {
    return send_live(bpf_program__fd(skeleton_->progs.generate), frame_size_, frames);
}

} // namespace linkbal::pktgen
