// SPDX-License-Identifier: GPL-2.0-or-later
// The limit of what XDP can do here: sends every packet on to one of two devices, and does nothing
// else to it but write the next MAC addresses.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u8 far_macs[2][ETH_ALEN];

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
} devices SEC(".maps");

/* The last bit of the source address: half of the flows each. */
static __always_inline __u32 choose(const struct ethhdr* ethernet) {
    const void* header = ethernet + 1;
    const struct ipv6hdr* ip6 = header;
    const struct iphdr* ip4 = header;

    return ethernet->h_proto == bpf_htons(ETH_P_IP) ? bpf_ntohl(ip4->saddr) & 1
                                                    : ip6->saddr.in6_u.u6_addr8[15] & 1;
}

SEC("xdp")
int redirect(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    struct ethhdr* ethernet = data;
    __u32 way;

    if (data + sizeof(*ethernet) + sizeof(struct ipv6hdr) > data_end)
        return XDP_PASS;
    way = choose(ethernet);
    __builtin_memcpy(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
    for (__u32 i = 0; i < ETH_ALEN; i++)
        ethernet->h_dest[i] = way ? far_macs[1][i] : far_macs[0][i];
    return (int)bpf_redirect_map(&devices, way, 0);
}

char LICENSE[] SEC("license") = "GPL";
