// SPDX-License-Identifier: GPL-2.0-or-later
#include "generator.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "frame.h"
#include <generator.skel.h>

namespace linkbal::pktgen {

namespace {

constexpr uint16_t discard_port = 9;
constexpr uint8_t time_to_live = 64;
constexpr uint32_t frames_per_batch = 64; // of the kernel, which runs softirqs after each

// Internet checksum (RFC 1071) over 16-bit words as they lie in memory: folded, not inverted.
uint16_t partial_checksum(const uint8_t* bytes, size_t size, uint32_t sum = 0) {
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

// What all frames have in common; see generator.bpf.c for what the checksums leave open.
pktgen_frame common_frame(const Traffic& traffic) {
    pktgen_frame frame{};
    std::copy(traffic.gateway_mac.begin(), traffic.gateway_mac.end(), frame.ethernet.h_dest);
    std::copy(traffic.source_mac.begin(), traffic.source_mac.end(), frame.ethernet.h_source);
    frame.ethernet.h_proto = htons(ETH_P_IP);
    frame.ip.version = 4;
    frame.ip.ihl = sizeof(iphdr) / 4;
    frame.ip.tot_len = htons(sizeof(pktgen_frame) - sizeof(ethhdr));
    frame.ip.frag_off = htons(0x4000); // don't fragment
    frame.ip.ttl = time_to_live;
    frame.ip.protocol = IPPROTO_UDP;
    frame.ip.saddr = htonl(traffic.source_network);
    frame.ip.daddr = htonl(traffic.destination_network);
    constexpr uint16_t udp_length = sizeof(pktgen_frame) - offsetof(pktgen_frame, udp);
    frame.udp.dest = htons(discard_port);
    frame.udp.len = htons(udp_length);
    frame.magic = htonl(PKTGEN_MAGIC);

    uint8_t bytes[sizeof(frame)];
    std::memcpy(bytes, &frame, sizeof(frame));
    constexpr size_t ip = offsetof(pktgen_frame, ip);
    constexpr size_t addresses = ip + offsetof(iphdr, saddr);
    frame.ip.check = partial_checksum(bytes + ip, sizeof(iphdr));
    // From the addresses to the end, plus the rest of the pseudo header: protocol and length.
    const uint32_t pseudo = uint32_t{htons(IPPROTO_UDP)} + htons(udp_length);
    frame.udp.check = partial_checksum(bytes + addresses, sizeof(bytes) - addresses, pseudo);
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
    generator.skeleton_.reset(generator_bpf__open());
    if (!generator.skeleton_) {
        return fail_errno(errno, "opening the generator");
    }
    generator_bpf* skeleton = generator.skeleton_.get();
    skeleton->rodata->device = *ifindex;
    skeleton->rodata->flows = traffic.flows;
    skeleton->bss->frame = common_frame(traffic);
    if (const int error = generator_bpf__load(skeleton); error != 0) {
        return fail_errno(-error, "loading the generator");
    }
    return generator;
}

Status Generator::send(uint32_t frames) {
    uint8_t input[sizeof(pktgen_frame)] = {};
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = input;
    options.data_size_in = sizeof(input);
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    options.repeat = static_cast<int>(frames);
    options.batch_size = frames_per_batch;
    const int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.generate), &options);
    if (error != 0) {
        return fail_errno(-error, "sending live frames");
    }
    return {};
}

} // namespace linkbal::pktgen
