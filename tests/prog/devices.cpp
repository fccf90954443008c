// SPDX-License-Identifier: GPL-2.0-or-later
#include "devices.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "support/catch.h"

namespace linkbal::test {

namespace {

void silence_ipv6(const std::string& device) {
    std::ofstream("/proc/sys/net/ipv6/conf/" + device + "/disable_ipv6") << "1";
}

} // namespace

void command(const std::string& line) {
    INFO(line);
    REQUIRE(std::system(line.c_str()) == 0);
}

std::string output_of(const std::string& line) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(line.c_str(), "r"), pclose);
    REQUIRE(pipe);
    std::string text;
    std::array<char, 4096> part{};
    while (const size_t size = fread(part.data(), 1, part.size(), pipe.get())) {
        text.append(part.data(), size);
    }
    return text;
}

void make_veth(const std::string& name, const std::string& peer) {
    command("ip link add " + name + " type veth peer name " + peer);
    for (const auto& device : {name, peer}) {
        silence_ipv6(device);
        command("ip link set " + device + " mtu 9000 up");
    }
}

FrameSender::FrameSender(const std::string& device)
    : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    REQUIRE(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
}

void FrameSender::send(const Bytes& frame) {
    REQUIRE(::send(socket_.get(), frame.data(), frame.size(), 0) ==
            static_cast<ssize_t>(frame.size()));
}

void FrameSender::send_scattered(const Bytes& frame) {
    const int on = 1;
    REQUIRE(setsockopt(socket_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0);
    // struct virtio_net_hdr, whose header is no C++: hdr_len, of which packet_alloc_skb() makes the
    // linear part, is the third byte.
    send(Bytes{0, 0, ETH_HLEN, 0, 0, 0, 0, 0, 0, 0} + frame);
}

Tun::Tun(const std::string& name) : file_(open("/dev/net/tun", O_RDWR | O_CLOEXEC)) {
    REQUIRE(file_);
    ifreq request{};
    std::memcpy(request.ifr_name, name.data(), std::min<size_t>(name.size(), IFNAMSIZ - 1));
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    REQUIRE(ioctl(file_.get(), TUNSETIFF, &request) == 0);
    silence_ipv6(name);
    command("ip link set " + name + " up");
}

void Tun::receive(const Bytes& packet) {
    REQUIRE(write(file_.get(), packet.data(), packet.size()) ==
            static_cast<ssize_t>(packet.size()));
}

void flush_conntrack() { command("conntrack -F >/dev/null 2>&1"); }

} // namespace linkbal::test
