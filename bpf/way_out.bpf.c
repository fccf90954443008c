// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets that are made in a cgroup leave by one uplink: they carry its mark from the start.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile __u32 way_out_mark = 0;

// Runs in socket(), for TCP, UDP, ping and raw sockets of IPv4 and IPv6. The socket is new and a
// program of an outer cgroup runs later, so there are no bits of others yet. Who sets SO_MARK later
// means it.
SEC("cgroup/sock_create")
int lb_way_out(struct bpf_sock* socket) {
    socket->mark = way_out_mark;
    return 1; // allowed
}

char _license[] SEC("license") = "GPL";
