// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/dns_message.h"

#include <algorithm>
#include <cctype>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>

namespace linkbal {

Result<std::vector<uint8_t>> dns_query(const std::string& name) {
    struct __res_state state{}; // NOLINT(bugprone-reserved-identifier): glibc's name
    if (res_ninit(&state) != 0) {
        return fail("ask for {}: the resolver does not start", name);
    }
    state.options &= ~static_cast<unsigned long>(RES_USE_EDNS0 | RES_USE_DNSSEC);
    std::vector<uint8_t> query(NS_PACKETSZ);
    const int size = res_nmkquery(&state, ns_o_query, name.c_str(), ns_c_in, ns_t_ns, nullptr, 0,
                                  nullptr, query.data(), static_cast<int>(query.size()));
    res_nclose(&state);
    if (size < 0) {
        return fail("ask for {}: not a domain name", name);
    }
    query.resize(static_cast<size_t>(size));
    set_dns_id(query, 0);
    return query;
}

void set_dns_id(std::span<uint8_t> query, uint16_t id) { ns_put16(id, query.data()); }

std::optional<uint16_t> answered_dns_id(std::span<const uint8_t> message,
                                        std::span<const uint8_t> query) {
    ns_msg parsed{};
    if (message.size() < query.size() ||
        ns_initparse(message.data(), static_cast<int>(message.size()), &parsed) != 0 ||
        ns_msg_getflag(parsed, ns_f_qr) != 1 || ns_msg_count(parsed, ns_s_qd) != 1) {
        return std::nullopt;
    }
    const int code = ns_msg_getflag(parsed, ns_f_rcode);
    // The query is a header and a question; some servers change the case of its letters.
    const auto same = [](uint8_t a, uint8_t b) { return std::tolower(a) == std::tolower(b); };
    if ((code != ns_r_noerror && code != ns_r_nxdomain) ||
        !std::ranges::equal(message.subspan(NS_HFIXEDSZ, query.size() - NS_HFIXEDSZ),
                            query.subspan(NS_HFIXEDSZ), same)) {
        return std::nullopt;
    }
    return ns_msg_id(parsed);
}

} // namespace linkbal
