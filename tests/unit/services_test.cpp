// SPDX-License-Identifier: GPL-2.0-or-later
// Names of services and spellings of ports.
#include <algorithm>

#include "core/services.h"
#include "support/catch.h"

using namespace linkbal;

TEST_CASE("services: the table is sorted, each name once and each with ports") {
    const auto services = known_services();
    CHECK(services.size() >= 30);
    CHECK(std::ranges::is_sorted(services, std::ranges::less_equal{}, &Service::name));
    CHECK(std::ranges::adjacent_find(services, {}, &Service::name) == services.end());
    for (const Service& service : services) {
        INFO(service.name);
        CHECK(find_service(service.name) == &service);
        CHECK_FALSE(service.ports.empty());
        CHECK(service.name.find_first_of("0123456789/") != 0); // else it would be taken for ports
        for (const ServicePorts& ports : service.ports) {
            CHECK(parse_service_ports(service_text(ports)) == ports);
        }
    }
}

TEST_CASE("services: what a name stands for") {
    const auto ports = [](std::string_view name) {
        const Service* service = find_service(name);
        REQUIRE(service != nullptr);
        return service->ports;
    };
    CHECK(ports("ssh") == std::vector<ServicePorts>{{Transport::tcp, {22, 22}}});
    CHECK(ports("dns") ==
          std::vector<ServicePorts>{{Transport::tcp, {53, 53}}, {Transport::udp, {53, 53}}});
    CHECK(ports("wireguard") == std::vector<ServicePorts>{{Transport::udp, {51820, 51820}}});
    for (const auto name : {"", "SSH", "sshd", "zzz", "22"}) {
        INFO(name);
        CHECK(find_service(name) == nullptr);
    }
}

TEST_CASE("services: protocols without ports have names of their own") {
    CHECK(std::ranges::is_sorted(known_protocols, std::ranges::less{}, &IpProtocol::name));
    for (const IpProtocol& protocol : known_protocols) {
        INFO(protocol.name);
        REQUIRE(find_protocol(protocol.name) != nullptr);
        CHECK(find_protocol(protocol.name)->number == protocol.number);
        CHECK(protocol_name(protocol.number) == protocol.name);
        CHECK(find_service(protocol.name) == nullptr);
    }
    CHECK(find_protocol("vrrp")->number == 112);
    for (const auto name : {"", "tcp", "icmp", "112", "VRRP"}) {
        CHECK(find_protocol(name) == nullptr);
    }
}

TEST_CASE("services: spellings of ports") {
    CHECK(parse_ports("1") == PortRange{1, 1});
    CHECK(parse_ports("8000-8010") == PortRange{8000, 8010});
    CHECK(parse_ports("65535-65535") == PortRange{65535, 65535});
    for (const auto text : {"", "0", "65536", "8010-8000", "80-", "-80", "80-90-95", "80,81", "+80",
                            "0x50", " 80", "0-5"}) {
        INFO(text);
        CHECK_FALSE(parse_ports(text));
    }
    CHECK(parse_service_ports("8443/tcp") == ServicePorts{Transport::tcp, {8443, 8443}});
    CHECK(parse_service_ports("5000-5010/udp") == ServicePorts{Transport::udp, {5000, 5010}});
    for (const auto text :
         {"", "/", "/tcp", "80", "80/", "80/TCP", "80/sctp", "80/tcp/udp", "0/tcp"}) {
        INFO(text);
        CHECK_FALSE(parse_service_ports(text));
    }
    CHECK(service_text({Transport::udp, {5000, 5010}}) == "5000-5010/udp");
    CHECK(ports_text({7, 7}) == "7");
}

TEST_CASE("services: ranges overlap if they share a port of one protocol") {
    CHECK(overlap(PortRange{10, 20}, PortRange{20, 30}));
    CHECK(overlap(PortRange{20, 30}, PortRange{10, 20}));
    CHECK(overlap(PortRange{10, 30}, PortRange{15, 16}));
    CHECK_FALSE(overlap(PortRange{10, 19}, PortRange{20, 30}));
    CHECK_FALSE(overlap(ServicePorts{Transport::tcp, {53, 53}}, {Transport::udp, {53, 53}}));
    CHECK(overlap(ServicePorts{Transport::udp, {53, 53}}, {Transport::udp, {50, 60}}));
}
