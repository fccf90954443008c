// SPDX-License-Identifier: GPL-2.0-or-later
// A client behind a gateway with two uplinks, both of which lead to the server.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

#include "kernel/nftables.h"
#include "network_namespace.h"
#include "program.h"
#include "support/catch.h"
#include "tcp_sockets.h"
#include "util/fd.h"

namespace linkbal::test {

inline constexpr uint32_t mask = 0x00ff0000;
inline constexpr uint32_t first = 0x00010000;
inline constexpr uint32_t second = 0x00020000;

inline void ip_batch(const std::string& commands) {
    const auto outcome = run({"ip", "-batch", "-"}, commands);
    INFO(commands << outcome.output);
    REQUIRE(outcome.status == 0);
}

inline void set(const std::string& sysctl, char value) {
    FILE* file = std::fopen(("/proc/sys/net/" + sysctl).c_str(), "w");
    REQUIRE(file != nullptr);
    std::fputc(value, file);
    REQUIRE(std::fclose(file) == 0);
}

struct Addresses {
    std::string client, server, server_by_second, first_uplink;
};
inline const std::array<Addresses, 2> ipv4_and_ipv6{{
    {"192.0.2.9", "192.0.2.200", "203.0.113.9", "198.51.100.1"},
    {"2001:db8:2::9", "2001:db8:9::9", "2001:db8:3::9", "2001:db8:1::1"},
}};

// The gateway is the calling thread's namespace. The server's own address is reached by the default
// route: through wan1 until switch_over(). "strays" counts packets that leave in the middle of a
// connection since end().
class Network {
  public:
    Network() : client(NetworkNamespace::make()), server(NetworkNamespace::make()) {
        make_network();
        connect_devices();
        give_addresses();
        for (const char* device : {"all", "default", "lan0", "wan1", "wan2"}) {
            set(std::string("ipv4/conf/") + device + "/rp_filter", '0');
        }
        set("ipv4/ip_forward", '1');
        set("ipv6/conf/all/forwarding", '1');
        nft("table inet observer { counter strays { }; chain leaving { type filter hook "
            "postrouting priority 300; oifname { wan1, wan2 } tcp flags & (syn|rst) == 0 "
            "counter name strays; }; }");
    }
    static void load(bool resets = true) {
        const NetfilterState state{
            mask,
            {{"velox1", "wan1", first}, {"velox2", "wan2", second}},
            {Prefix::parse("192.0.2.0/26").value(), Prefix::parse("2001:db8:2::/64").value()},
            resets};
        REQUIRE(replace("linkbal", state));
    }
    static void switch_over() {
        ip_batch("route replace default via 203.0.113.9 dev wan2\n"
                 "route replace ::/0 via 2001:db8:3::9 dev wan2\n");
    }
    static uint64_t packets(const std::string& counter) {
        const auto text = nft_list("counter inet " + counter);
        return std::stoull(text.substr(text.find("packets ") + 8));
    }
    static uint64_t strays() { return packets("observer strays"); }
    [[nodiscard]] Fd listen(const std::string& address, uint16_t port) const {
        const Visit visit(server);
        return listener(address, port);
    }
    [[nodiscard]] Fd client_socket(const std::string& address, uint16_t port = 0) const {
        const Visit visit(client);
        return bound(address, port);
    }

    NetworkNamespace client;
    NetworkNamespace server;

  private:
    void connect_devices() const {
        ip_batch("link add lan0 type veth peer name eth0 netns " + client.path() +
                 "\nlink add wan1 type veth peer name eth1 netns " + server.path() +
                 "\nlink add wan2 type veth peer name eth2 netns " + server.path() + "\n");
    }
    void give_addresses() const {
        ip_batch("link set lan0 up\nlink set wan1 up\nlink set wan2 up\n"
                 "addr add 192.0.2.1/26 dev lan0\naddr add 2001:db8:2::1/64 dev lan0 nodad\n"
                 "addr add 198.51.100.1/26 dev wan1\naddr add 2001:db8:1::1/64 dev wan1 nodad\n"
                 "addr add 203.0.113.1/26 dev wan2\naddr add 2001:db8:3::1/64 dev wan2 nodad\n"
                 "route add default via 198.51.100.9 dev wan1\n"
                 "route add ::/0 via 2001:db8:1::9 dev wan1\n");
        {
            const Visit visit(client);
            ip_batch("link set lo up\nlink set eth0 up\n"
                     "addr add 192.0.2.9/26 dev eth0\naddr add 2001:db8:2::9/64 dev eth0 nodad\n"
                     "route add default via 192.0.2.1\nroute add ::/0 via 2001:db8:2::1\n");
        }
        const Visit visit(server);
        ip_batch("link set lo up\nlink set eth1 up\nlink set eth2 up\n"
                 "addr add 198.51.100.9/26 dev eth1\naddr add 2001:db8:1::9/64 dev eth1 nodad\n"
                 "addr add 203.0.113.9/26 dev eth2\naddr add 2001:db8:3::9/64 dev eth2 nodad\n"
                 "addr add 192.0.2.200/32 dev lo\naddr add 2001:db8:9::9/128 dev lo nodad\n");
        set("ipv4/conf/all/rp_filter", '0');
    }
};

} // namespace linkbal::test
