// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Short TCP connections without sockets: start() writes the first SYN of each, and the two ends answer
 * every segment with the next one, until both have closed:
 *
 *     client               server
 *     SYN             ──▶
 *                     ◀──  SYN ACK
 *     request, ACK    ──▶
 *                     ◀──  answer, ACK
 *     ACK             ──▶
 *                     ◀──  answer, ACK
 *     FIN ACK         ──▶
 *                     ◀──  FIN ACK
 *     ACK             ──▶
 *
 * Neither end remembers anything: all is told by flags and numbers. Both begin to count at the same
 * numbers in every connection.
 */
#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"
#include "segment.h"

#define CLIENT_FIRST 1000000u /* sequence number of the SYN */
#define SERVER_FIRST 5000000u
#define WINDOW 64000
#define TIME_TO_LIVE 64

enum flags {
    FIN = 0x01,
    SYN = 0x02,
    RST = 0x04,
    PSH = 0x08,
    ACK = 0x10,
};

const volatile __u32 device; /* that SYNs leave by */
const volatile __u8 gateway_mac[ETH_ALEN];
const volatile __u8 client_mac[ETH_ALEN];
const volatile __u32 source_network; /* network byte order */
const volatile __u32 destination_network;

__u32 next_connection;

/* Number of the server's device -> connections that both ends have closed. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, PKTGEN_DEVICES);
    __type(key, __u32);
    __type(value, __u64);
} closed SEC(".maps");

/* A segment in host byte order. */
struct say {
    __u32 sequence;
    __u32 acknowledged;
    __u32 data_size;
    __u8 flags;
};

/* Headers apart: their members' addresses are not those of a packed struct. */
struct headers {
    struct ethhdr* ethernet;
    struct iphdr* ip;
    struct tcphdr* tcp;
};

static __always_inline struct headers headers_of(void* data) {
    struct headers headers = {
        .ethernet = data,
        .ip = data + sizeof(struct ethhdr),
        .tcp = data + sizeof(struct ethhdr) + sizeof(struct iphdr),
    };
    return headers;
}

static __always_inline __u32 sum_words(const void* from, __u32 count, __u32 sum) {
    const __u16* words = from;

#pragma clang loop unroll(full)
    for (__u32 i = 0; i < count; i++)
        sum += words[i];
    return sum;
}

static __always_inline __u16 finish_checksum(__u32 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)~sum;
}

/* Everything but MAC addresses, addresses and ports. Data are zeros, which no sum needs. */
static __always_inline void write_segment(const struct headers* out, const struct say* say) {
    const __u16 length = (__u16)(sizeof(struct tcphdr) + say->data_size);
    struct iphdr* ip = out->ip;
    struct tcphdr* tcp = out->tcp;

    out->ethernet->h_proto = bpf_htons(ETH_P_IP);
    *(__u16*)ip = bpf_htons(0x4500);
    ip->tot_len = bpf_htons(length + sizeof(*ip));
    ip->id = 0;
    ip->frag_off = bpf_htons(0x4000); /* don't fragment */
    ip->ttl = TIME_TO_LIVE;
    ip->protocol = IPPROTO_TCP;
    ip->check = 0;
    ip->check = finish_checksum(sum_words(ip, sizeof(*ip) / 2, 0));
    tcp->seq = bpf_htonl(say->sequence);
    tcp->ack_seq = bpf_htonl(say->acknowledged);
    ((__u8*)tcp)[12] = sizeof(*tcp) / 4 << 4;
    ((__u8*)tcp)[13] = say->flags;
    tcp->window = bpf_htons(WINDOW);
    tcp->urg_ptr = 0;
    tcp->check = 0;
    tcp->check = finish_checksum(
        sum_words(tcp, sizeof(*tcp) / 2,
                  sum_words(&ip->saddr, 4, (__u32)bpf_htons(IPPROTO_TCP) + bpf_htons(length))));
    __builtin_memset(tcp + 1, 0, PKTGEN_DATA_SIZE);
}

static __always_inline void turn_round(const struct headers* frame) {
    const __u32 address = frame->ip->saddr;
    const __u16 port = frame->tcp->source;
    __u8 mac[ETH_ALEN];

    __builtin_memcpy(mac, frame->ethernet->h_dest, ETH_ALEN);
    __builtin_memcpy(frame->ethernet->h_dest, frame->ethernet->h_source, ETH_ALEN);
    __builtin_memcpy(frame->ethernet->h_source, mac, ETH_ALEN);
    frame->ip->saddr = frame->ip->daddr;
    frame->ip->daddr = address;
    frame->tcp->source = frame->tcp->dest;
    frame->tcp->dest = port;
}

static __always_inline __u32 data_size(const struct headers* in) {
    return bpf_ntohs(in->ip->tot_len) - sizeof(*in->ip) - sizeof(*in->tcp);
}

/* What is said to a segment that was received; false if nothing. */
static __always_inline bool server_says(const struct headers* in, __u8 flags, struct say* say) {
    const __u32 sequence = bpf_ntohl(in->tcp->seq);

    if (flags & SYN) {
        say->sequence = SERVER_FIRST;
        say->acknowledged = sequence + 1;
        say->flags = SYN | ACK;
        return true;
    }
    say->sequence = bpf_ntohl(in->tcp->ack_seq);
    if (flags & FIN) {
        say->acknowledged = sequence + 1;
        say->flags = FIN | ACK;
        return true;
    }
    say->acknowledged = sequence + data_size(in);
    say->data_size = PKTGEN_DATA_SIZE;
    say->flags = PSH | ACK;
    return say->sequence <= SERVER_FIRST + 1 + PKTGEN_DATA_SIZE;
}

static __always_inline void client_says(const struct headers* in, __u8 flags, struct say* say) {
    const __u32 sequence = bpf_ntohl(in->tcp->seq);

    say->sequence = bpf_ntohl(in->tcp->ack_seq);
    say->flags = ACK;
    if (flags & (SYN | FIN)) {
        say->acknowledged = sequence + 1;
        say->data_size = flags & SYN ? PKTGEN_DATA_SIZE : 0;
        say->flags |= flags & SYN ? PSH : 0;
        return;
    }
    say->acknowledged = sequence + data_size(in);
    if (sequence != SERVER_FIRST + 1)
        say->flags |= FIN;
}

/* The kernel cuts padding off, so that a segment may have to grow. False if it is none of ours. */
static __always_inline bool make_room(struct xdp_md* ctx, struct headers* in) {
    const long missing = (long)sizeof(struct pktgen_segment) - (long)(ctx->data_end - ctx->data);

    if (missing > PKTGEN_DATA_SIZE || (missing != 0 && bpf_xdp_adjust_tail(ctx, (int)missing) != 0))
        return false;
    if (ctx->data + sizeof(struct pktgen_segment) > ctx->data_end)
        return false;
    *in = headers_of((void*)(long)ctx->data);
    return in->ethernet->h_proto == bpf_htons(ETH_P_IP) && in->ip->protocol == IPPROTO_TCP;
}

static __always_inline int answer(struct xdp_md* ctx, const struct headers* frame,
                                  const struct say* say) {
    turn_round(frame);
    write_segment(frame, say);
    return (int)bpf_redirect(ctx->ingress_ifindex, 0);
}

SEC("xdp")
int server(struct xdp_md* ctx) {
    struct headers in;
    struct say say = {};

    if (!make_room(ctx, &in))
        return XDP_PASS;
    if (in.tcp->dest != bpf_htons(PKTGEN_SERVER_PORT) || in.tcp->rst)
        return XDP_DROP;
    if (!server_says(&in, ((__u8*)in.tcp)[13], &say)) {
        const __u32 key = ctx->ingress_ifindex;
        __u64* count = bpf_map_lookup_elem(&closed, &key);

        if (count)
            ++*count;
        return XDP_DROP;
    }
    return answer(ctx, &in, &say);
}

SEC("xdp")
int client(struct xdp_md* ctx) {
    struct headers in;
    struct say say = {};

    if (!make_room(ctx, &in))
        return XDP_PASS;
    if (in.tcp->source != bpf_htons(PKTGEN_SERVER_PORT) || in.tcp->rst)
        return XDP_DROP;
    client_says(&in, ((__u8*)in.tcp)[13], &say);
    return answer(ctx, &in, &say);
}

/* Runs as BPF_PROG_TEST_RUN with live frames. */
SEC("xdp")
int start(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    const struct say say = {.sequence = CLIENT_FIRST, .flags = SYN};
    const __u32 number = next_connection;
    struct headers out;

    if (data + sizeof(struct pktgen_segment) > data_end)
        return XDP_ABORTED;
    next_connection = number + 1;
    out = headers_of(data);
    for (__u32 i = 0; i < ETH_ALEN; i++) {
        out.ethernet->h_dest[i] = gateway_mac[i];
        out.ethernet->h_source[i] = client_mac[i];
    }
    out.ip->saddr = source_network | bpf_htonl(PKTGEN_FIRST_SOURCE + number % PKTGEN_SOURCES);
    out.ip->daddr =
        destination_network | bpf_htonl(PKTGEN_FIRST_DESTINATION + number % PKTGEN_DESTINATIONS);
    out.tcp->source = bpf_htons((__u16)(PKTGEN_FIRST_PORT + number % PKTGEN_PORTS));
    out.tcp->dest = bpf_htons(PKTGEN_SERVER_PORT);
    write_segment(&out, &say);
    return (int)bpf_redirect(device, 0);
}

char LICENSE[] SEC("license") = "GPL";
