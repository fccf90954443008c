/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fast path in XDP: before the kernel knows of the packet. */
#ifndef LINKBAL_BPF_FAST_XDP_H
#define LINKBAL_BPF_FAST_XDP_H

#include "rewrite.h"

/* Short frames come padded to 60 bytes; the kernel cuts that off, and the next device pads again. */
static __always_inline bool lb_xdp_trim(struct xdp_md* ctx, __u32 excess) {
    return excess == 0 || bpf_xdp_adjust_tail(ctx, -(int)excess) == 0;
}

static __always_inline bool lb_xdp_write(struct xdp_md* ctx, __u32 family,
                                         const struct lb_view* view, const struct lb_way* way) {
    struct ethhdr* ethernet = (void*)(long)ctx->data;
    const void* end = (void*)(long)ctx->data_end;
    void* ip = ethernet + 1;
    void* transport = ip + lb_header_size(family);
    const __u32 needed =
        view->key.protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
    if (transport + needed > end) { /* for the verifier: trimming has made it forget */
        return false;
    }
    lb_write_ethernet(ethernet, way);
    lb_write_ip(family, ip, view, way);
    if (lb_is_translated(family, view, way)) {
        lb_write_transport(family, transport, view, way);
    }
    return true;
}

static __always_inline enum lb_fast lb_xdp_forward(struct xdp_md* ctx, __u32 family) {
    const struct ethhdr* ethernet = (void*)(long)ctx->data;
    const struct lb_frame frame = {
        .ip = (void*)(ethernet + 1),
        .end = (void*)(long)ctx->data_end,
        .size = ctx->data_end - ctx->data - sizeof(*ethernet),
    };
    struct lb_view view;
    enum lb_fast reason = lb_view(family, &frame, &view);
    if (reason != LB_FAST_FORWARDED) {
        return reason;
    }
    const struct lb_arrival arrival = {.ifindex = ctx->ingress_ifindex,
                                       .mac = ethernet->h_dest,
                                       .mtu_size = view.length,
                                       .by_xdp = true};
    const __u32 size = sizeof(*ethernet) + view.length; /* as it will leave */
    struct lb_way way;
    reason = lb_judge(family, &view, &arrival, &way);
    if (reason != LB_FAST_FORWARDED) {
        return reason;
    }
    if (bpf_redirect_map(&redirects, way.slot, XDP_PASS) != XDP_REDIRECT) {
        return LB_FAST_NO_REDIRECT;
    }
    if (!lb_count_flow(family, &way, 1, size)) {
        return LB_FAST_MISS;
    }
    if (!lb_xdp_trim(ctx, frame.size - view.length) || !lb_xdp_write(ctx, family, &view, &way)) {
        return LB_FAST_MALFORMED;
    }
    lb_count_way(&way, 1, size);
    return LB_FAST_FORWARDED;
}

static __always_inline enum lb_fast lb_xdp_any(struct xdp_md* ctx) {
    const struct ethhdr* ethernet = (void*)(long)ctx->data;
    if ((void*)(ethernet + 1) > (void*)(long)ctx->data_end) {
        return LB_FAST_MALFORMED;
    }
    switch (ethernet->h_proto) {
    case bpf_htons(ETH_P_IP):
        return lb_xdp_forward(ctx, LB_IPV4);
    case bpf_htons(ETH_P_IPV6):
        return lb_xdp_forward(ctx, LB_IPV6);
    case bpf_htons(ETH_P_8021Q):
    case bpf_htons(ETH_P_8021AD):
        return LB_FAST_TAGGED;
    default:
        return LB_FAST_NOT_IP;
    }
}

static __always_inline int lb_xdp(struct xdp_md* ctx) {
    const enum lb_fast reason = lb_xdp_any(ctx);
    if (reason == LB_FAST_FORWARDED) {
        return XDP_REDIRECT;
    }
    lb_count_fast(reason, ctx->data_end - ctx->data);
    return XDP_PASS;
}

#endif
