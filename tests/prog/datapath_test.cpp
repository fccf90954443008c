// SPDX-License-Identifier: GPL-2.0-or-later
// The datapath's life: loaded, read back, changed, replaced, removed, next to others' programs.
#include <algorithm>
#include <filesystem>

#include <net/if.h>
#include <sys/mount.h>

#include "devices.h"
#include "kernel/bpffs.h"
#include "kernel/libbpf_log.h"
#include "two_uplinks.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

namespace fs = std::filesystem;

// Ids of links: the same ones, if they were updated and not made anew.
std::string link_ids(const Datapath& datapath, const DatapathState& state) {
    std::string ids;
    for (const auto& attachment : wanted_attachments(state)) {
        const auto name =
            fmt::format("{}-{}", pin_name(attachment.device), attach_program(attachment.role));
        ids += output_of("bpftool link show pinned " + datapath.directory() + "/links/" + name +
                         " | cut -d: -f1");
    }
    return ids;
}

} // namespace

TEST_CASE("what was brought up is read back, and removed without a trace") {
    LINKBAL_NEED_NAMESPACES();
    for (const bool use_tcx : attach_modes()) {
        make_devices();
        const auto before = programs_on_devices() + qdiscs_of("lan0");
        Datapath datapath(instance_name);
        CHECK_FALSE(need(datapath.read()).has_value());
        const auto wanted = two_uplinks(use_tcx);
        bring_up(datapath, wanted);
        const auto found = actual(datapath);
        CHECK(found.state == wanted);
        CHECK(found.attachments == wanted_attachments(wanted));
        CHECK(found.outdated.empty());
        CHECK(found.current);
        need(datapath.remove());
        CHECK_FALSE(fs::exists(datapath.directory()));
        CHECK(programs_on_devices() + qdiscs_of("lan0") == before);
        need(datapath.remove());
        command("ip link del lan0 && ip link del wan0 && ip link del wan1.7");
    }
}

TEST_CASE("an upgrade keeps seed, maps and links, and can be undone") {
    LINKBAL_NEED_NAMESPACES();
    if (!has_tcx()) {
        LINKBAL_SKIP("no TCX: Linux 6.6 and later");
    }
    make_devices();
    Datapath datapath(instance_name);
    auto wanted = two_uplinks(has_tcx());
    bring_up(datapath, wanted);
    const auto seed = object_settings(need(open_object(datapath.directory())))->hash_seed;
    const auto links = link_ids(datapath, wanted);
    REQUIRE_FALSE(links.empty());

    wanted.mark_mask = 0x0000ff00;
    const auto former = need(datapath.install(need(datapath.load(wanted))));
    REQUIRE_FALSE(former.empty());
    CHECK(actual(datapath).state == wanted);
    CHECK(actual(datapath).attachments.empty());
    CHECK(actual(datapath).outdated == wanted_attachments(wanted));
    attach_all(datapath, wanted);
    CHECK(actual(datapath).attachments == wanted_attachments(wanted));
    CHECK(actual(datapath).outdated.empty());
    CHECK(object_settings(need(open_object(datapath.directory())))->hash_seed == seed);

    need(datapath.install(former));
    attach_all(datapath, wanted);
    CHECK(actual(datapath).state == two_uplinks(has_tcx()));
    CHECK(actual(datapath).attachments == wanted_attachments(wanted));
    CHECK(link_ids(datapath, wanted) == links);
    need(datapath.remove());
}

TEST_CASE("half an object is not current, and a load mends it") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(has_tcx());
    bring_up(datapath, wanted);
    const auto damage = GENERATE("programs/lb_count_tx", "settings", "devices");
    fs::remove(datapath.directory() + "/" + damage);
    CHECK_FALSE(actual(datapath).current);
    bring_up(datapath, wanted);
    CHECK(actual(datapath).state == wanted);
    CHECK(actual(datapath).current);
    need(datapath.remove());
}

TEST_CASE("a detached link and a vanished device are seen") {
    LINKBAL_NEED_NAMESPACES();
    if (!has_tcx()) {
        LINKBAL_SKIP("no TCX: Linux 6.6 and later");
    }
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(has_tcx());
    bring_up(datapath, wanted);
    const Attachment lan{"lan0", AttachRole::lan_ingress, true};
    command("bpftool link detach pinned " + datapath.directory() + "/links/lan0-lb_classify");
    CHECK(actual(datapath).outdated == std::vector{lan});
    need(datapath.attach(lan));
    CHECK(actual(datapath).attachments == wanted_attachments(wanted));

    command("ip link del wan1.7");
    CHECK(actual(datapath).state.uplinks.at(1).device.empty());
    CHECK(actual(datapath).outdated ==
          std::vector{Attachment{"wan1.7", AttachRole::uplink_egress, true}});
    CHECK(datapath.set_devices(wanted.lan_devices, wanted.uplinks, wanted.devices)
              .error()
              .message.find("wan1.7") != std::string::npos);
    make_veth("wan1.7", "router1");
    fill(datapath, wanted);
    attach_all(datapath, wanted);
    CHECK(actual(datapath).state == wanted);
    CHECK(actual(datapath).attachments == wanted_attachments(wanted));
    need(datapath.remove());
}

TEST_CASE("others' filters and qdiscs stay") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    command("tc qdisc add dev wan0 clsact");
    command("tc qdisc add dev lan0 clsact");
    command("tc filter add dev lan0 ingress prio 7 " + foreign_filter);
    const auto before = qdiscs_of("lan0") + filters_of("lan0") + qdiscs_of("wan0");
    Datapath datapath(instance_name);
    bring_up(datapath, two_uplinks(false));
    command("tc filter add dev wan1.7 egress prio 7 " + foreign_filter);
    need(datapath.remove());
    CHECK(qdiscs_of("lan0") + filters_of("lan0") + qdiscs_of("wan0") == before);
    CHECK(qdiscs_of("wan1.7").find("clsact") != std::string::npos);
    CHECK(filters_of("wan1.7").find("flowid 1:1") != std::string::npos);
    CHECK(filters_of("wan1.7").find("lb_count_tx") == std::string::npos);
}

TEST_CASE("a clsact filter is replaced in place") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(false);
    bring_up(datapath, wanted);
    attach_all(datapath, wanted);
    const auto filters = output_of("tc filter show dev lan0 ingress");
    CHECK(filters.find("handle 0x4c42") != std::string::npos);
    CHECK(filters.find("handle 0x4c42") == filters.rfind("handle 0x4c42"));
    CHECK(actual(datapath).attachments == wanted_attachments(wanted));
    need(datapath.remove());
}

TEST_CASE("only the difference of bypass prefixes and devices is written") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    Datapath datapath(instance_name);
    auto wanted = two_uplinks(has_tcx());
    bring_up(datapath, wanted);
    wanted.bypass = {Prefix::parse("198.51.100.0/24").value(),
                     Prefix::parse("2001:db8:1::/48").value()};
    std::ranges::sort(wanted.bypass);
    wanted.uplinks = {{2, "velox2", "wan1.7", 9}};
    std::erase_if(wanted.devices, [](const auto& device) { return device.name == "wan0"; });
    wanted.buckets = {};
    fill(datapath, wanted);
    CHECK(actual(datapath).state == wanted);
    need(datapath.remove());
}

TEST_CASE("every map can be dumped by field names") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    Datapath datapath(instance_name);
    bring_up(datapath, two_uplinks(has_tcx()));
    const auto dump = [&](const std::string& map) {
        return output_of("bpftool map dump pinned " + datapath.directory() + "/" + map);
    };
    CHECK(dump("settings").find("mark_mask") != std::string::npos);
    CHECK(dump("uplinks").find("velox1") != std::string::npos);
    CHECK(dump("devices").find("uplink") != std::string::npos);
    CHECK(dump("bypass4").find("length") != std::string::npos);
    CHECK(dump("verdict_counters").find("packets") != std::string::npos);
    CHECK(output_of("bpftool map dump name lb_buckets | head -c 2000").find("\"uplink\": [") !=
          std::string::npos);
    need(datapath.remove());
}

TEST_CASE("packets of real devices are classified, with and without Ethernet header") {
    LINKBAL_NEED_NAMESPACES();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    TestInstance instance;
    make_veth("lan0", "host0");
    Tun tun("tun0");
    for (const char* device : {"lan0", "tun0"}) {
        need(instance.datapath().attach({device, AttachRole::lan_ingress, use_tcx}));
    }
    const auto picked = [&] {
        return need(instance.datapath().counters()).verdicts.at(LB_VERDICT_PICKED).packets;
    };
    for (const auto& packet : {frame(Ipv4{}, bytes_of(Tcp{})), frame(Ipv6{}, bytes_of(Tcp{}))}) {
        const uint64_t before = picked();
        FrameSender("host0").send(packet);
        CHECK(eventually([&] { return picked() == before + 1; }));
        tun.receive(Bytes(packet.begin() + 14, packet.end()));
        CHECK(eventually([&] { return picked() == before + 2; }));
    }
}

TEST_CASE("headers outside the linear part of a packet are read") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    make_veth("lan0", "host0");
    need(instance.datapath().attach({"lan0", AttachRole::lan_ingress, false}));
    const auto picked = [&] {
        return need(instance.datapath().counters()).verdicts.at(LB_VERDICT_PICKED).packets;
    };
    FrameSender host("host0");
    uint64_t expected = 0;
    for (const auto& packet : {frame(Ipv4{}, bytes_of(Tcp{}) + Bytes(6000, 0)),
                               frame(Ipv6{}, bytes_of(Tcp{}) + Bytes(6000, 0))}) {
        host.send_scattered(packet);
        CHECK(eventually([&] { return picked() == expected + 1; }));
        ++expected;
    }
}

TEST_CASE("errors name what was tried and on what") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    const auto missing = instance.datapath().attach({"none0", AttachRole::lan_ingress, true});
    CHECK(missing.error().message == "interface none0 ingress: No such device");
    const auto unloaded = Datapath("linkbal-none").counters();
    CHECK(unloaded.error().message ==
          "/sys/fs/bpf/linkbal-none/uplink_counters is missing: the datapath is not loaded");
}

TEST_CASE("no bpffs in the namespace of a single command") {
    LINKBAL_NEED_NAMESPACES();
    const AsAdministrator mounting;
    CHECK(need(mount_bpffs()) == false);
    REQUIRE(mount("none", bpffs_path, "tmpfs", 0, nullptr) == 0);
    const auto refused = mount_bpffs();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("nsenter --net") != std::string::npos);
    REQUIRE(umount(bpffs_path) == 0);
}

TEST_CASE("a bpffs is unmounted when nothing is pinned in it") {
    LINKBAL_NEED_NAMESPACES();
    const AsAdministrator mounting;
    REQUIRE(mount("none", bpffs_path, "tmpfs", 0, nullptr) == 0);
    REQUIRE(mount("bpf", bpffs_path, "bpf", 0, nullptr) == 0);
    const std::string pins = std::string(bpffs_path) + "/somebody";
    need(make_directory(pins));
    need(unmount_bpffs());
    CHECK(fs::exists(pins));
    need(remove_directory(pins));
    need(unmount_bpffs());
    CHECK_FALSE(mount_bpffs()); // the tmpfs is back
    REQUIRE(umount(bpffs_path) == 0);
}

TEST_CASE("pin names keep interface names apart") {
    for (const char* name : {"eth0", "eth0.100", "a%2eb", "a.b", "%", "br-lan"}) {
        CHECK(pin_name(name).find('.') == std::string::npos);
        CHECK(interface_of_pin(pin_name(name)) == name);
    }
}

TEST_CASE("the verifier's reason is found in its log") {
    const char* log = "libbpf: prog 'lb_classify': BPF program load failed: Permission denied\n"
                      "libbpf: prog 'lb_classify': -- BEGIN PROG LOAD LOG --\n"
                      "0: R1=ctx(off=0,imm=0) R10=fp0\n"
                      "; return table->uplink[bucket];\n"
                      "7: (69) r0 = *(u16 *)(r1 +0)\n"
                      "invalid access to map value, value_size=262144 off=262144 size=2\n"
                      "processed 8 insns (limit 1000000) max_states_per_insn 0\n"
                      "-- END PROG LOAD LOG --\n"
                      "libbpf: failed to load object 'linkbal_bpf'\n";
    CHECK(log_reason(log) == "; return table->uplink[bucket]; | 7: (69) r0 = *(u16 *)(r1 +0) | "
                             "invalid access to map value, value_size=262144 off=262144 size=2");
    CHECK(log_reason("libbpf: Error in bpf_create_map_xattr\nlibbpf: map 'turns': failed\n") ==
          "libbpf: map 'turns': failed");
}
