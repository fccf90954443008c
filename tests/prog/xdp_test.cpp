// SPDX-License-Identifier: GPL-2.0-or-later
// XDP links on veth, beside others' programs, and the slots of devices.
#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include "devices.h"
#include "kernel/bpf_link.h"
#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/device_maps.h"
#include "kernel/xdp_link.h"
#include "killed.h"
#include "support/foreign_xdp.h"
#include "two_uplinks.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// As XDP on veth wants them: frames of one page, and peers that take what is redirected.
void make_xdp_devices() {
    make_devices();
    for (const std::string pair : {"lan0 host0", "wan0 router0", "wan1.7 router1"}) {
        const auto device = pair.substr(0, pair.find(' '));
        const auto peer = pair.substr(pair.find(' ') + 1);
        command("ip link set " + device + " mtu 1500 && ip link set " + peer + " mtu 1500");
        command("ethtool -K " + peer + " gro on");
    }
}

DatapathState by_xdp() {
    auto state = two_uplinks(has_tcx());
    state.fast_path = true;
    state.flow_buckets = {4, 2};
    state.tcp_timeout = 100;
    for (auto& device : state.devices) {
        device.forwarding = Forwarding::xdp;
    }
    return state;
}

Attachment xdp_of(const std::string& device) { return {device, AttachRole::xdp, true}; }

uint32_t ifindex(const std::string& device) { return if_nametoindex(device.c_str()); }

// What the kernel says, whoever attached it; 0: nothing.
uint32_t native_program(const std::string& device) {
    bpf_xdp_query_opts options{};
    options.sz = sizeof(options);
    REQUIRE(bpf_xdp_query(static_cast<int>(ifindex(device)), 0, &options) == 0);
    CHECK(options.skb_prog_id == 0);
    return options.drv_prog_id;
}

uint32_t id_of_link(const Datapath& datapath, const std::string& device) {
    const Fd link =
        need(open_pin(datapath.directory() + "/links/" + pin_name(device) + "-lb_fast_xdp"));
    REQUIRE(link);
    bpf_link_info info{};
    __u32 size = sizeof(info);
    REQUIRE(bpf_obj_get_info_by_fd(link.get(), &info, &size) == 0);
    return info.id;
}

template <typename Value>
Value entry(const Datapath& datapath, const std::string& map, uint32_t key) {
    const Fd fd = need(open_pin(datapath.directory() + "/" + map));
    return need(map_lookup<Value>(fd, key)).value_or(Value{});
}

uint32_t slot_of(const Datapath& datapath, const std::string& device) {
    return entry<lb_device>(datapath, "devices", ifindex(device)).slot;
}

} // namespace

TEST_CASE("XDP programs are attached natively, found and removed") {
    LINKBAL_NEED_NAMESPACES();
    make_xdp_devices();
    const auto before = programs_on_devices();
    Datapath datapath(instance_name);
    const auto wanted = by_xdp();
    bring_up(datapath, wanted);
    const auto found = actual(datapath);
    CHECK(found.state == wanted);
    CHECK(found.attachments == wanted_attachments(wanted));
    for (const std::string device : {"lan0", "wan0", "wan1.7"}) {
        CHECK(native_program(device) != 0);
        CHECK(native_program(device) ==
              need(own_xdp_program(datapath.directory(), device, ifindex(device))));
        CHECK(entry<uint32_t>(datapath, "redirects", slot_of(datapath, device)) == ifindex(device));
    }
    need(datapath.remove());
    CHECK(programs_on_devices() == before);
    CHECK_FALSE(std::filesystem::exists(datapath.directory()));
}

TEST_CASE("a new XDP program takes over in the same link") {
    LINKBAL_NEED_NAMESPACES();
    make_xdp_devices();
    Datapath datapath(instance_name);
    auto wanted = by_xdp();
    bring_up(datapath, wanted);
    const auto link = id_of_link(datapath, "wan0");
    const auto former = native_program("wan0");
    wanted.tcp_timeout = 200;
    need(datapath.install(need(datapath.load(wanted))));
    CHECK(actual(datapath).state == wanted); // devices, slots and tables are taken over
    CHECK(native_program("wan0") == former);
    const auto kept = need(datapath.attached_program(xdp_of("wan0")));
    attach_all(datapath, wanted);
    CHECK(id_of_link(datapath, "wan0") == link);
    CHECK(native_program("wan0") != former);
    need(datapath.put_back(xdp_of("wan0"), kept));
    CHECK(native_program("wan0") == former);
    CHECK(id_of_link(datapath, "wan0") == link);
    need(datapath.detach(xdp_of("wan0")));
    CHECK(native_program("wan0") == 0);
    need(datapath.remove());
}

TEST_CASE("somebody else's XDP program is not pushed away, nor is ours") {
    LINKBAL_NEED_NAMESPACES();
    make_xdp_devices();
    attach_foreign("wan0");
    const auto foreign = native_program("wan0");
    Datapath datapath(instance_name);
    need(datapath.install(need(datapath.load(by_xdp()))));
    const auto refused = datapath.attach(xdp_of("wan0"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == EBUSY);
    CHECK(native_program("wan0") == foreign);
    CHECK(actual(datapath).outdated.empty());
    need(datapath.attach(xdp_of("lan0")));
    const auto ours = native_program("lan0");
    CHECK(bpf_xdp_detach(static_cast<int>(ifindex("lan0")), XDP_FLAGS_DRV_MODE, nullptr) != 0);
    CHECK(native_program("lan0") == ours);
    need(datapath.remove());
    CHECK(native_program("wan0") == foreign);
}

TEST_CASE("where frames can't be redirected to, or a driver refuses, nothing is left behind") {
    LINKBAL_NEED_NAMESPACES();
    make_xdp_devices();
    command("ethtool -K router0 gro off");
    command("ip link set wan1.7 mtu 9000 && ip link set router1 mtu 9000");
    Datapath datapath(instance_name);
    need(datapath.install(need(datapath.load(by_xdp()))));
    const auto blind = datapath.attach(xdp_of("wan0"));
    REQUIRE_FALSE(blind);
    CHECK(blind.error().code == EOPNOTSUPP);
    const auto refused = datapath.attach(xdp_of("wan1.7"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ERANGE); // "Peer MTU is too large to set XDP"
    CHECK(native_program("wan0") == 0);
    CHECK(native_program("wan1.7") == 0);
    CHECK(actual(datapath).attachments.empty());
    CHECK(actual(datapath).outdated.empty());
    need(datapath.remove());
}

TEST_CASE("whenever it is killed, what it attached by XDP is found and removed") {
    LINKBAL_NEED_NAMESPACES();
    make_xdp_devices();
    const auto before = programs_on_devices();
    const auto wanted = by_xdp();
    Datapath datapath(instance_name);
    const auto object = need(datapath.load(wanted));
    bool killed = true;
    for (int stop = 0; killed; ++stop) {
        need(datapath.install(object));
        killed = killed_at(stop, [&] {
            (void)datapath.attach(xdp_of("lan0"));
            (void)datapath.detach(xdp_of("lan0"));
            (void)datapath.attach(xdp_of("wan1.7"));
        });
        INFO("stop " << stop);
        if (stop % 2 == 0) {
            need(datapath.attach(xdp_of("lan0")));
            need(datapath.attach(xdp_of("wan1.7")));
            CHECK(actual(datapath).attachments == std::vector{xdp_of("lan0"), xdp_of("wan1.7")});
            CHECK(actual(datapath).outdated.empty());
        }
        need(datapath.remove());
        REQUIRE_FALSE(std::filesystem::exists(datapath.directory()));
        REQUIRE(programs_on_devices() == before);
    }
}

TEST_CASE("a device keeps its slot, and one that changes hands ends all epochs") {
    LINKBAL_NEED_NAMESPACES();
    make_xdp_devices();
    Datapath datapath(instance_name);
    auto wanted = by_xdp();
    bring_up(datapath, wanted);
    const auto epoch = [&] { return entry<uint32_t>(datapath, "epochs", 2); };
    const auto first = epoch();
    CHECK(first > 0);
    CHECK(entry<uint32_t>(datapath, "epochs", 255) > 0);
    const auto lan = slot_of(datapath, "lan0");
    const auto freed = slot_of(datapath, "wan0");
    const auto last = slot_of(datapath, "wan1.7");

    // Another address, MTU or way of forwarding is no change of hands.
    wanted.devices[1].mac = {2, 0, 0, 0, 0, 9};
    wanted.devices[1].forwarding = Forwarding::tc;
    fill(datapath, wanted);
    CHECK(epoch() == first);
    CHECK(actual(datapath).state == wanted);
    const auto interface = entry<lb_interface>(datapath, "interfaces", freed);
    CHECK(interface.mac[5] == 9);
    CHECK(interface.mtu[LB_IPV6] == 1480);
    CHECK(interface.uplink == 1);
    CHECK(interface.xdp == 0);
    CHECK(entry<uint32_t>(datapath, "redirects", freed) == 0);

    auto fewer = wanted;
    fewer.uplinks.erase(fewer.uplinks.begin());
    fewer.devices.erase(fewer.devices.begin() + 1);
    fill(datapath, fewer);
    CHECK(epoch() == first + 1);
    CHECK(entry<lb_interface>(datapath, "interfaces", freed).ifindex == 0);
    CHECK(slot_of(datapath, "lan0") == lan);
    CHECK(slot_of(datapath, "wan1.7") == last);

    command("ip link add wan9 type veth peer name router9");
    fewer.uplinks.push_back({3, "velox3", "wan9", 1});
    fewer.devices.push_back({.name = "wan9", .forwarding = Forwarding::tc});
    fill(datapath, fewer);
    CHECK(epoch() == first + 2);
    CHECK(slot_of(datapath, "wan9") == freed);
    CHECK(actual(datapath).state.devices == fewer.devices);
    need(datapath.remove());
}

// Whoever finds a slot taken from a device and nothing told of it tells before the slot has a new owner.
TEST_CASE("whenever it is killed, no slot has a new owner in an epoch of the former one") {
    LINKBAL_NEED_NAMESPACES();
    make_xdp_devices();
    const auto wanted = by_xdp();
    auto fewer = wanted;
    fewer.uplinks.erase(fewer.uplinks.begin());
    fewer.devices.erase(fewer.devices.begin() + 1);
    bool killed = true;
    Datapath datapath(instance_name);
    const auto object = need(datapath.load(wanted));
    bool seen_taken = false;
    // A thousand system calls read the slots, and five hundred write epochs.
    for (int stop = 0; killed; stop += stop < 2040 ? 510 : stop < 2160 ? 2 : 211) {
        need(datapath.install(object));
        fill(datapath, wanted);
        const auto before = entry<uint32_t>(datapath, "epochs", 2);
        const auto slot = slot_of(datapath, "wan0");
        killed = killed_at(stop, [&] {
            (void)datapath.set_devices(fewer.lan_devices, fewer.uplinks, fewer.devices);
        });
        INFO("stop " << stop);
        const bool taken = entry<lb_interface>(datapath, "interfaces", slot).ifindex == 0;
        seen_taken |= taken && killed;
        fill(datapath, wanted);
        CHECK(actual(datapath).state == wanted);
        CHECK((entry<uint32_t>(datapath, "epochs", 2) != before || !taken));
        need(datapath.remove());
    }
    CHECK(seen_taken);
}

TEST_CASE(
    "flow tables have the size that was asked for, and are taken over by programs that agree") {
    LINKBAL_NEED_NAMESPACES();
    make_xdp_devices();
    Datapath datapath(instance_name);
    auto wanted = by_xdp();
    bring_up(datapath, wanted);
    const auto info = [&](const std::string& map) {
        return need(map_info(need(open_pin(datapath.directory() + "/" + map))));
    };
    CHECK(info("flows_ipv4").max_entries == 4 * LB_WAYS);
    CHECK(info("flows_ipv6").max_entries == 2 * LB_WAYS);
    const auto tag = entry<lb_settings>(datapath, "settings", 0).tag;
    CHECK(tag != 0);
    const auto former = info("flows_ipv4").id;
    const auto redirects = info("redirects").id;
    need(datapath.install(need(datapath.load(wanted))));
    CHECK(info("flows_ipv4").id == former);
    wanted.flow_buckets = {8, 1};
    need(datapath.install(need(datapath.load(wanted))));
    CHECK(info("flows_ipv4").id != former);
    CHECK(info("flows_ipv4").max_entries == 8 * LB_WAYS);
    CHECK(info("flows_ipv6").max_entries == LB_WAYS);
    CHECK(info("redirects").id == redirects);
    CHECK(entry<lb_settings>(datapath, "settings", 0).tag == tag);
    need(datapath.remove());
}
