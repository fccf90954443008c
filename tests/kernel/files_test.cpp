// SPDX-License-Identifier: GPL-2.0-or-later
// What is kept in /run and /etc, in a mount namespace of the test's own.
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/catch.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kernel/expedited_rcu.h"
#include "kernel/instance.h"
#include "kernel/table_names.h"
#include "own_rcu_knob.h"
#include "util/file.h"

using namespace linkbal;
using namespace linkbal::test;
namespace fs = std::filesystem;

namespace {

constexpr auto no_patience = std::chrono::milliseconds(0);
constexpr auto knob = rcu_knob;
constexpr auto keeper = "/run/linkbal-rcu_expedited";
const fs::path names_path = "/etc/iproute2/rt_tables.d/linkbal.conf";
const fs::path run = "/run/linkbal";

bool enter_mount_namespace() {
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") == 0 &&
           mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") == 0;
}

void put(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

std::string text_of(const fs::path& path) { return read_file(path).value_or("none"); }

std::string refusal(const Result<InstanceLock>& lock) {
    return lock ? "none" : lock.error().message;
}

} // namespace

#define LINKBAL_OWN_FILES()                                                                        \
    if (!enter_mount_namespace()) {                                                                \
        LINKBAL_SKIP("no mount namespace of our own: needs root");                                 \
    }                                                                                              \
    static_assert(true)

#define LINKBAL_OWN_KNOB()                                                                         \
    if (!has_rcu_knob() || !mount_own_rcu_knob()) {                                                \
        LINKBAL_SKIP("no /sys/kernel/rcu_expedited");                                              \
    }                                                                                              \
    static_assert(true)

TEST_CASE("a file is written whole, readable by all, over what was left behind") {
    LINKBAL_OWN_FILES();
    const fs::path path = "/run/file";
    put(unfinished_path(path), "half");
    const mode_t former = umask(077);
    const auto written = write_file_atomically(path, "whole");
    umask(former);
    REQUIRE(written);
    CHECK(text_of(path) == "whole");
    CHECK(!fs::exists(unfinished_path(path)));
    struct stat info{};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0644);
}

TEST_CASE("a file that can't be written stays as it was, and says why") {
    LINKBAL_OWN_FILES();
    REQUIRE(mount("tmpfs", "/run", "tmpfs", 0, "size=64k") == 0);
    const fs::path path = "/run/file";
    REQUIRE(write_file_atomically(path, "former"));
    const auto written = write_file_atomically(path, std::string(1 << 20, 'x'));
    REQUIRE(!written);
    CHECK(written.error().code == ENOSPC);
    CHECK(text_of(path) == "former");
    CHECK(!fs::exists(unfinished_path(path)));
}

TEST_CASE("the instance's directory is there while it is needed") {
    LINKBAL_OWN_FILES();
    const mode_t former = umask(0);
    CHECK(InstanceLock::acquire("linkbal", no_patience));
    CHECK(!fs::exists(run));
    const auto first = InstanceLock::acquire("linkbal", no_patience);
    umask(former);
    CHECK((fs::status(run).permissions() & fs::perms::others_write) == fs::perms::none);
    CHECK(refusal(InstanceLock::acquire("linkbal", no_patience)).find("process") !=
          std::string::npos);
}

TEST_CASE("what a killed process left behind is cleared away under the lock") {
    LINKBAL_OWN_FILES();
    put(unfinished_path(run / "state.json"), "{");
    put(unfinished_path(names_path), "# Routing tab");
    {
        const auto lock = InstanceLock::acquire("linkbal", no_patience);
        REQUIRE(lock);
        CHECK(!fs::exists(unfinished_path(run / "state.json")));
        CHECK(!fs::exists(unfinished_path(names_path)));
        Memory memory;
        memory.network_namespace = 1;
        REQUIRE(write_memory("linkbal", memory));
    }
    CHECK(fs::exists(run));
    put(run / "note", "somebody's");
    {
        const auto lock = InstanceLock::acquire("linkbal", no_patience);
        REQUIRE(lock); // where our state is, the directory is ours
        REQUIRE(remove_memory("linkbal"));
        fs::remove(run / "note");
    }
    CHECK(!fs::exists(run));
}

TEST_CASE("another program's directory is not touched") {
    LINKBAL_OWN_FILES();
    put("/run/systemd/private", "");
    CHECK(refusal(InstanceLock::acquire("systemd", no_patience)).find("holds private") !=
          std::string::npos);
    CHECK(!fs::exists("/run/systemd/lock"));
    fs::create_directory("/run/lock");
    fs::permissions("/run/lock", fs::perms::all);
    CHECK(refusal(InstanceLock::acquire("lock", no_patience)).find("written by others") !=
          std::string::npos);
    CHECK(fs::is_empty("/run/lock"));
    put("/run/pid", "1");
    CHECK(refusal(InstanceLock::acquire("pid", no_patience)).find("not a directory") !=
          std::string::npos);
}

TEST_CASE("a damaged state says where it is and what its removal costs") {
    LINKBAL_OWN_FILES();
    for (const auto* text : {"", "{", "[]", "{\"uplinks\": 1}"}) {
        put(run / "state.json", text);
        const auto memory = read_memory("linkbal");
        REQUIRE(!memory);
        CHECK(memory.error().message.find("/run/linkbal/state.json is damaged") == 0);
        CHECK(memory.error().message.find("sysctls") != std::string::npos);
    }
}

TEST_CASE("directories of table names that were made go with the last file in them") {
    LINKBAL_OWN_FILES();
    const std::vector<TableName> names{{10, "velox1"}};
    REQUIRE(write_table_names("linkbal", names));
    REQUIRE(write_table_names("other", names));
    CHECK(read_table_names("linkbal").value() == names);
    REQUIRE(write_table_names("linkbal", std::nullopt));
    CHECK(fs::exists(names_path.parent_path()));
    REQUIRE(write_table_names("other", std::nullopt));
    CHECK(!fs::exists("/etc/iproute2"));

    fs::create_directories(names_path.parent_path());
    REQUIRE(write_table_names("linkbal", names));
    REQUIRE(write_table_names("linkbal", std::nullopt));
    CHECK(fs::exists(names_path.parent_path()));
}

TEST_CASE("somebody else's file of table names is not touched") {
    LINKBAL_OWN_FILES();
    CHECK(check_table_names_file("linkbal"));
    put(names_path, "7\tseven\n");
    put(unfinished_path(names_path), "7\tseven\n");
    CHECK(!check_table_names_file("linkbal"));
    CHECK(read_table_names("linkbal").value() == std::nullopt);
    CHECK(!write_table_names("linkbal", std::vector<TableName>{{10, "velox1"}}));
    CHECK(!write_table_names("linkbal", std::nullopt));
    discard_unfinished_table_names("linkbal");
    CHECK(text_of(names_path) == "7\tseven\n");
    CHECK(fs::exists(unfinished_path(names_path)));
}

TEST_CASE("table names come from the vendor's directory too, unless /etc has the same file") {
    LINKBAL_OWN_FILES();
    REQUIRE(mount("tmpfs", "/usr/share", "tmpfs", 0, nullptr) == 0);
    put("/usr/share/iproute2/rt_tables", "254 main\n");
    put("/usr/share/iproute2/rt_tables.d/a.conf", "1 vendor-a\n");
    put("/usr/share/iproute2/rt_tables.d/b.conf", "2 vendor-b\n");
    put("/usr/share/iproute2/rt_tables.d/linkbal.conf", "3 hidden-by-ours\n");
    put("/etc/iproute2/rt_tables.d/a.conf", "0x4 etc-a\n");
    CHECK(read_foreign_table_names("linkbal") ==
          std::vector<TableName>{{4, "etc-a"}, {254, "main"}, {2, "vendor-b"}});
}

TEST_CASE("RCU is expedited for a while only, also after somebody who was killed") {
    LINKBAL_OWN_FILES();
    LINKBAL_OWN_KNOB();
    {
        const ExpeditedRcu expedited;
        CHECK(expedited.active());
        CHECK(text_of(knob).starts_with('1'));
    }
    CHECK(text_of(knob) == "0\n");
    put(knob, "1\n");
    put(keeper, "0");
    const auto written = fs::last_write_time(keeper);
    {
        const ExpeditedRcu expedited;
        CHECK(expedited.active());
        // Whoever writes it anew may be killed in between, and nobody would know the former value.
        CHECK(fs::last_write_time(keeper) == written);
    }
    CHECK(text_of(knob).starts_with('0'));
    CHECK(!fs::exists(keeper));
}

TEST_CASE("whoever expedites RCU at the same time, the knob is as before in the end") {
    LINKBAL_OWN_FILES();
    LINKBAL_OWN_KNOB();
    const auto expedite = [] {
        for (int i = 0; i < 20000; ++i) {
            const ExpeditedRcu expedited;
        }
    };
    {
        const std::jthread one(expedite);
        const std::jthread two(expedite);
        const std::jthread three(expedite);
    }
    CHECK(text_of(knob) == "0\n");
    CHECK(!fs::exists(keeper));
}
