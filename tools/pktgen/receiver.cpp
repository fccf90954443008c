// SPDX-License-Identifier: GPL-2.0-or-later
#include "receiver.h"

#include <cerrno>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "frame.h"
#include <receiver.skel.h>

namespace linkbal::pktgen {

void Receiver::Destroy::operator()(receiver_bpf* skeleton) const {
    receiver_bpf__destroy(skeleton);
}

void Receiver::Destroy::operator()(bpf_link* link) const { bpf_link__destroy(link); }

Result<Receiver> Receiver::create(const Port& port, uint32_t flows) {
    Receiver receiver;
    receiver.flows_ = flows;
    const auto ifindex = enter(port);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    receiver.skeleton_.reset(receiver_bpf__open());
    if (!receiver.skeleton_) {
        return fail_errno(errno, "opening the receiver");
    }
    receiver_bpf* skeleton = receiver.skeleton_.get();
    int error = bpf_map__set_max_entries(skeleton->maps.seen, flows);
    if (error == 0) {
        error = receiver_bpf__load(skeleton);
    }
    if (error != 0) {
        return fail_errno(-error, "loading the receiver");
    }
    receiver.link_.reset(
        bpf_program__attach_xdp(skeleton->progs.receive, static_cast<int>(*ifindex)));
    if (!receiver.link_) {
        return fail_errno(errno, "attaching the receiver to " + port.device);
    }
    return receiver;
}

uint64_t Receiver::packets() const {
    const uint32_t zero = 0;
    std::vector<pktgen_counters> counters(static_cast<size_t>(libbpf_num_possible_cpus()));
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.counters), &zero, counters.data()) != 0) {
        return 0;
    }
    uint64_t sum = 0;
    for (const auto& each : counters) {
        sum += each.packets;
    }
    return sum;
}

void Receiver::census(bool on) { skeleton_->bss->census = on ? 1 : 0; }

void Receiver::answer(bool on) { skeleton_->bss->answer = on ? 1 : 0; }

Result<std::vector<uint64_t>> Receiver::seen() const {
    std::vector<uint64_t> result(flows_);
    const int fd = bpf_map__fd(skeleton_->maps.seen);
    for (uint32_t flow = 0; flow < flows_; ++flow) {
        if (bpf_map_lookup_elem(fd, &flow, &result[flow]) != 0) {
            return fail_errno(errno, "reading the census");
        }
    }
    return result;
}

} // namespace linkbal::pktgen
