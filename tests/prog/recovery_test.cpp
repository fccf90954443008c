// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of the datapath when a process was killed, or somebody else had a hand in it.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "linkbal/abi.h"
#include <linkbal.skel.h>

#include "devices.h"
#include "kernel/bpffs.h"
#include "killed.h"
#include "support/plain_settings.h"
#include "two_uplinks.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> entries(const fs::path& directory) {
    if (!fs::exists(directory)) {
        return {};
    }
    return {fs::directory_iterator(directory), fs::directory_iterator()};
}

std::string everything() {
    return programs_on_devices() + qdiscs_of("lan0") + qdiscs_of("wan0") + qdiscs_of("wan1.7");
}

std::vector<Attachment> of_device(const std::vector<Attachment>& all, const std::string& device) {
    std::vector<Attachment> found;
    std::ranges::copy_if(all, std::back_inserter(found),
                         [&](const Attachment& at) { return at.device == device; });
    return found;
}

template <typename T>
std::optional<Error> error_of(const Result<T>& result) {
    return result ? std::nullopt : std::optional(result.error());
}

// The embedded programs with another `bypass4` and other inner maps, as an older version of the
// same ABI could have them.
BpfObject object_of_other_size(const DatapathState& state) {
    const std::unique_ptr<linkbal_bpf, decltype(&linkbal_bpf::destroy)> skeleton(
        linkbal_bpf::open(), &linkbal_bpf::destroy);
    REQUIRE(skeleton);
    auto settings = plain_settings(1);
    settings.hash_seed = 7;
    settings.mark_mask = state.mark_mask;
    skeleton->rodata_settings->settings = settings;
    REQUIRE(bpf_map__set_max_entries(skeleton->maps.bypass4, 100) == 0);
    REQUIRE(bpf_map__set_max_entries(skeleton->maps.devices, 100) == 0);
    auto* inner = bpf_map__inner_map(skeleton->maps.buckets);
    REQUIRE(bpf_map__set_value_size(inner, 8 * LB_BUCKETS) == 0);
    REQUIRE(linkbal_bpf::load(skeleton.get()) == 0);
    BpfObject object;
    const auto copy = [](int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 3)); };
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, skeleton->obj) {
        const std::string name = bpf_map__name(map);
        object.maps.emplace(name.find("rodata") != std::string::npos ? "settings" : name,
                            copy(bpf_map__fd(map)));
    }
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, skeleton->obj) {
        object.programs.emplace(bpf_program__name(program), copy(bpf_program__fd(program)));
    }
    const Fd table(bpf_map_create(BPF_MAP_TYPE_ARRAY, "lb_buckets", 4, 8 * LB_BUCKETS, 1, nullptr));
    const uint32_t zero = 0;
    const int fd = table.get();
    REQUIRE(bpf_map_update_elem(object.maps.at("buckets").get(), &zero, &fd, BPF_ANY) == 0);
    return object;
}

} // namespace

TEST_CASE("whenever it is killed, what it attached is found and removed") {
    LINKBAL_NEED_NAMESPACES();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    make_devices();
    const auto before = everything();
    const auto wanted = two_uplinks(use_tcx);
    Datapath datapath(instance_name);
    const auto object = need(datapath.load(wanted));
    bool killed = true;
    for (int stop = 0; killed; ++stop) {
        need(datapath.install(object));
        killed = killed_at(stop, [&] {
            (void)datapath.attach({"lan0", AttachRole::lan_ingress, use_tcx});
            (void)datapath.attach({"wan1.7", AttachRole::uplink_egress, use_tcx});
        });
        INFO("stop " << stop);
        const bool again = stop % 2 == 0;
        if (again) {
            for (const auto& at : actual(datapath).outdated) {
                CHECK(std::ranges::count(wanted_attachments(wanted), at) == 1);
            }
            attach_all(datapath, wanted);
            CHECK(actual(datapath).attachments == wanted_attachments(wanted));
            CHECK(actual(datapath).outdated.empty());
        }
        need(datapath.remove());
        REQUIRE_FALSE(fs::exists(datapath.directory()));
        REQUIRE(everything() == before);
    }
}

TEST_CASE("whenever it is killed, what it detached is removed") {
    LINKBAL_NEED_NAMESPACES();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    make_devices();
    const auto before = everything();
    const auto wanted = two_uplinks(use_tcx);
    Datapath datapath(instance_name);
    const auto object = need(datapath.load(wanted));
    bool killed = true;
    for (int stop = 0; killed; ++stop) {
        need(datapath.install(object));
        need(datapath.attach({"wan0", AttachRole::uplink_egress, use_tcx}));
        killed = killed_at(stop, [&] { (void)datapath.remove(); });
        INFO("stop " << stop);
        need(datapath.remove());
        REQUIRE_FALSE(fs::exists(datapath.directory()));
        REQUIRE(everything() == before);
    }
}

TEST_CASE("whenever it is killed, what it pinned is replaced or removed") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    const auto wanted = two_uplinks(has_tcx());
    Datapath datapath(instance_name);
    const auto object = need(datapath.load(wanted));
    bool killed = true;
    for (int stop = 0; killed; ++stop) {
        killed = killed_at(stop, [&] { (void)datapath.install(object); });
        INFO("stop " << stop);
        if (stop % 2 == 0) {
            need(datapath.install(object));
            CHECK(actual(datapath).current);
            for (const auto& directory : {"", "/programs"}) {
                for (const auto& path : entries(datapath.directory() + directory)) {
                    CHECK_FALSE(path.string().ends_with('~'));
                }
            }
        }
        need(datapath.remove());
        REQUIRE_FALSE(fs::exists(datapath.directory()));
    }
}

TEST_CASE("a link whose pin was not yet in its place is taken over as it is") {
    LINKBAL_NEED_NAMESPACES();
    if (!has_tcx()) {
        LINKBAL_SKIP("no TCX: Linux 6.6 and later");
    }
    make_devices();
    const auto before = everything();
    const auto wanted = two_uplinks(true);
    Datapath datapath(instance_name);
    bring_up(datapath, wanted);
    const auto running = programs_on_devices();
    for (const auto& path : entries(datapath.directory() + "/links")) {
        fs::rename(path, path.string() + "~");
    }
    CHECK(actual(datapath).attachments.empty());
    CHECK(actual(datapath).outdated == wanted_attachments(wanted));
    SECTION("by attaching") {
        attach_all(datapath, wanted);
        CHECK(programs_on_devices() == running);
        CHECK(actual(datapath).attachments == wanted_attachments(wanted));
        CHECK(actual(datapath).outdated.empty());
    }
    SECTION("by detaching") {
        need(datapath.detach(wanted_attachments(wanted).front()));
        CHECK(actual(datapath).outdated.size() == wanted_attachments(wanted).size() - 1);
    }
    need(datapath.remove());
    CHECK_FALSE(fs::exists(datapath.directory()));
    CHECK(everything() == before);
}

TEST_CASE("a pin that can't take its place leaves nothing") {
    LINKBAL_NEED_NAMESPACES();
    const auto path = std::string(bpffs_path) + "/taken";
    need(make_directory(path));
    const Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "taken", 4, 4, 1, nullptr));
    const auto pinned = replace_pin(map.get(), path);
    REQUIRE_FALSE(pinned);
    CHECK(pinned.error().code == EISDIR);
    CHECK_FALSE(fs::exists(path + "~"));
    need(remove_directory(path));
}

TEST_CASE("an ingress qdisc is no clsact qdisc") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    command("tc qdisc add dev lan0 ingress");
    command("tc filter add dev lan0 ingress prio 7 " + foreign_filter);
    const auto before = qdiscs_of("lan0") + filters_of("lan0");
    TestInstance instance;
    for (const auto role : {AttachRole::lan_ingress, AttachRole::lan_egress}) {
        const auto refused = instance.datapath().attach({"lan0", role, false});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message.find("ingress qdisc") != std::string::npos);
        CHECK(refused.error().message.find("clsact") != std::string::npos);
    }
    CHECK(qdiscs_of("lan0") + filters_of("lan0") == before);
    CHECK(entries(instance.datapath().directory() + "/filters").empty());
    CHECK(entries(instance.datapath().directory() + "/qdiscs").empty());
}

TEST_CASE("a note of a qdisc of ours does not remove somebody else's") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    Datapath datapath(instance_name);
    bring_up(datapath, two_uplinks(false));
    command("tc qdisc del dev wan0 clsact");
    command("tc qdisc add dev wan0 clsact");
    command("tc filter add dev wan0 ingress prio 7 " + foreign_filter);
    const bool attached_again = GENERATE(false, true);
    if (attached_again) {
        need(datapath.attach({"wan0", AttachRole::uplink_egress, false}));
        // Known as somebody else's from now on, even without a filter in it.
        command("tc filter del dev wan0 ingress");
    }
    need(datapath.remove());
    CHECK(qdiscs_of("wan0").find("clsact") != std::string::npos);
    CHECK(qdiscs_of("lan0").find("clsact") == std::string::npos);
}

TEST_CASE("what was detached by hand is known by its role") {
    LINKBAL_NEED_NAMESPACES();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(use_tcx);
    bring_up(datapath, wanted);
    if (use_tcx) {
        for (const auto& path : entries(datapath.directory() + "/links")) {
            command("bpftool link detach pinned " + path.string());
        }
    } else {
        for (const char* device : {"lan0", "wan0", "wan1.7"}) {
            command("tc filter del dev " + std::string(device) + " egress");
            command("tc filter del dev " + std::string(device) + " ingress");
        }
    }
    CHECK(actual(datapath).attachments.empty());
    CHECK(actual(datapath).outdated == wanted_attachments(wanted));
    attach_all(datapath, wanted);
    CHECK(actual(datapath).attachments == wanted_attachments(wanted));
    CHECK(actual(datapath).outdated.empty());
    need(datapath.remove());
}

TEST_CASE("a device that changes its role keeps one program a direction") {
    LINKBAL_NEED_NAMESPACES();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    make_devices();
    const auto before = everything();
    Datapath datapath(instance_name);
    bring_up(datapath, two_uplinks(use_tcx));
    const Attachment lan{"wan0", AttachRole::lan_egress, use_tcx};
    need(datapath.attach(lan));
    CHECK(of_device(actual(datapath).attachments, "wan0") == std::vector{lan});
    CHECK(actual(datapath).outdated.empty());
    // Also when nothing is left to tell but the name.
    command(use_tcx
                ? "bpftool link detach pinned " + datapath.directory() + "/links/wan0-lb_count_rx"
                : "tc filter del dev wan0 egress");
    CHECK(actual(datapath).outdated == std::vector{lan});
    need(datapath.remove());
    CHECK(everything() == before);
}

TEST_CASE("maps that will not be taken over count as empty") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    const auto wanted = two_uplinks(has_tcx());
    Datapath datapath(instance_name);
    need(datapath.install(object_of_other_size(wanted)));
    need(datapath.set_devices(wanted.lan_devices, wanted.uplinks, wanted.devices));
    need(datapath.set_uplinks(wanted.uplinks));
    need(datapath.set_bypass(wanted.bypass));

    const auto old = actual(datapath);
    CHECK_FALSE(old.current);
    CHECK(old.state.mark_mask == wanted.mark_mask);
    CHECK(old.state.buckets.at(0).empty());
    CHECK(old.state.bypass == std::vector{Prefix::parse("2001:db8:1::/48").value()});
    CHECK(old.state.lan_devices.empty());
    CHECK(old.state.uplinks.empty());

    const auto former = need(datapath.install(need(datapath.load(wanted))));
    const auto fresh = actual(datapath);
    CHECK(fresh.current);
    CHECK(fresh.state.buckets == old.state.buckets);
    CHECK(fresh.state.bypass == old.state.bypass);
    CHECK(fresh.state.lan_devices == old.state.lan_devices);
    CHECK(fresh.state.uplinks == old.state.uplinks);
    fill(datapath, wanted);
    CHECK(actual(datapath).state == wanted);

    // The former maps are as they were.
    need(datapath.install(former));
    CHECK(
        output_of("bpftool map dump pinned " + datapath.directory() + "/uplinks").find("velox1") !=
        std::string::npos);
    CHECK(output_of("bpftool -j map dump pinned " + datapath.directory() +
                    "/devices | jq length") == "3\n");
    need(datapath.remove());
}

TEST_CASE("with too few file descriptors it says so and does not misread") {
    LINKBAL_NEED_NAMESPACES();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(use_tcx);
    bring_up(datapath, wanted);
    const auto features = need(probe_features());
    rlimit former{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &former) == 0);
    int refused = 0;
    for (rlim_t limit = 3; limit < 60; ++limit) {
        const rlimit few{limit, former.rlim_max};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
        const auto found = datapath.read();
        const auto probed = probe_features();
        const auto missing =
            datapath.set_devices(wanted.lan_devices, wanted.uplinks, wanted.devices);
        const auto attached = datapath.attach(wanted_attachments(wanted).front());
        REQUIRE(setrlimit(RLIMIT_NOFILE, &former) == 0);
        INFO("limit " << limit);
        if (found) {
            REQUIRE(found->has_value());
            CHECK((*found)->state == wanted);
            CHECK((*found)->attachments == wanted_attachments(wanted));
            CHECK((*found)->outdated.empty());
            CHECK((*found)->current);
        } else {
            INFO(found.error().message);
            CHECK(found.error().code == EMFILE);
            ++refused;
        }
        if (probed) {
            CHECK(probed->tcx == features.tcx);
            CHECK(probed->conntrack_lookup == features.conntrack_lookup);
        }
        const std::vector<std::optional<Error>> errors = {error_of(probed), error_of(missing),
                                                          error_of(attached)};
        for (const auto& error : errors) {
            INFO((error ? error->message : ""));
            CHECK((!error || error->code == EMFILE));
        }
    }
    CHECK(refused > 0);
    need(datapath.remove());
}

TEST_CASE("the program that was there before can be put back") {
    LINKBAL_NEED_NAMESPACES();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    make_devices();
    const auto before = everything();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(use_tcx);
    bring_up(datapath, wanted);
    const Attachment lan{"wan0", AttachRole::lan_egress, use_tcx};
    const Attachment uplink{"wan0", AttachRole::uplink_egress, use_tcx};
    const auto running = programs_on_devices();

    // Left over from a former load, which nothing but the device holds any more.
    need(datapath.install(need(datapath.load(wanted))));
    CHECK(actual(datapath).outdated == wanted_attachments(wanted));
    const auto former = need(datapath.attached_program(lan));
    REQUIRE(former);
    need(datapath.attach(lan));
    CHECK(of_device(actual(datapath).attachments, "wan0") == std::vector{lan});
    need(datapath.put_back(lan, former));
    CHECK(programs_on_devices() == running);
    CHECK(of_device(actual(datapath).outdated, "wan0") == std::vector{uplink});

    // Also after it was detached; and nothing where nothing was.
    need(datapath.detach(uplink));
    const auto nothing = need(datapath.attached_program(uplink));
    CHECK_FALSE(nothing);
    need(datapath.put_back(uplink, former));
    CHECK(of_device(actual(datapath).outdated, "wan0") == std::vector{uplink});
    need(datapath.put_back(uplink, nothing));
    CHECK(of_device(actual(datapath).outdated, "wan0").empty());

    command("ip link del wan0");
    need(datapath.put_back(uplink, former));
    make_veth("wan0", "router0");
    need(datapath.remove());
    CHECK(everything().size() == before.size());
}

TEST_CASE("devices are put back without those that have vanished") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    Datapath datapath(instance_name);
    auto wanted = two_uplinks(has_tcx());
    bring_up(datapath, wanted);
    command("ip link del wan1.7");
    const auto former = actual(datapath).state;
    CHECK(former.uplinks.at(1).device.empty());
    auto one = wanted;
    one.uplinks.pop_back();
    need(datapath.set_devices(one.lan_devices, one.uplinks, one.devices));
    need(datapath.set_devices(former.lan_devices, former.uplinks, former.devices));
    CHECK(actual(datapath).state == former);

    command("ip link del lan0");
    const auto refused = datapath.set_devices(former.lan_devices, former.uplinks, former.devices);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("lan0") != std::string::npos);
    need(datapath.set_devices(former.lan_devices, former.uplinks, former.devices,
                              MissingDevices::skipped));
    CHECK(actual(datapath).state.lan_devices.empty());
    CHECK(actual(datapath).state.uplinks == former.uplinks);
    need(datapath.remove());
}

TEST_CASE("a bpffs that is hidden by a private mount namespace is told of") {
    LINKBAL_NEED_NAMESPACES();
    const AsAdministrator mounting;
    need(require_visible_bpffs());
    REQUIRE(mount("none", bpffs_path, "tmpfs", 0, nullptr) == 0);
    const auto hidden = require_visible_bpffs();
    REQUIRE_FALSE(hidden);
    CHECK(hidden.error().message == mount_bpffs().error().message);
    CHECK(hidden.error().message.find("nsenter --net") != std::string::npos);
    REQUIRE(umount(bpffs_path) == 0);
}
