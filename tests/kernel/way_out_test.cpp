// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/way_out.h"

#include <unistd.h>

#include <filesystem>

#include <bpf/bpf.h>

#include "captured_log.h"
#include "daemon/process.h"
#include "loop.h"
#include "two_links.h"
#include "util/file.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

// Two tests at once must not share a cgroup.
std::string own_instance() { return fmt::format("linkbal-test-{}", ::getpid()); }

// Where the cgroups of these tests are; empty without cgroup 2.
std::string cgroup_path(const std::string& uplink) {
    const auto own =
        own_cgroup(*read_file("/proc/self/mountinfo"), *read_file("/proc/self/cgroup"));
    return own ? *own + "/" + own_instance() + "." + uplink : "";
}

ProcessResult run_in(int cgroup, CommandWords words) {
    asio::io_context context;
    Processes processes(context);
    ProcessSpec command;
    command.words = std::move(words);
    command.time_limit = 20s;
    command.cgroup = cgroup;
    command.title = "cmd";
    return run_until_done(context, processes.run(std::move(command)));
}

// The report, as the log shows it.
std::string report_from(int cgroup) {
    CapturedLog log;
    const auto result = run_in(cgroup, {"python3", "-c", socket_report});
    INFO(result.describe());
    REQUIRE(result.succeeded());
    std::string text;
    const std::string prefix = "info: cmd: ";
    std::istringstream lines(log.text());
    for (std::string line; std::getline(lines, line);) {
        text += line.substr(prefix.size()) + "\n";
    }
    return text;
}

} // namespace

#define LINKBAL_WAY_OUT(name, mark)                                                                \
    auto name##_made = WayOut::make(own_instance(), #name, mark);                                  \
    if (!name##_made) {                                                                            \
        LINKBAL_SKIP(name##_made.error().message);                                                 \
    }                                                                                              \
    std::optional<WayOut> name(*std::move(name##_made))

TEST_CASE("sockets that are made in a way out leave by its link, and no others") {
    LINKBAL_OWN_NAMESPACE();
    make_two_links();
    LINKBAL_WAY_OUT(velox2, second_mark);
    CHECK(report_from(velox2->cgroup()) == expected_report("0x20000", "2"));
    CHECK(report_from(-1) == expected_report("0x0", "1"));
    // One that comes beside it has its own mark, and does not change the first one's.
    LINKBAL_WAY_OUT(velox1, 0x10000);
    CHECK(report_from(velox1->cgroup()) == expected_report("0x10000", "1"));
    CHECK(report_from(velox2->cgroup()) == expected_report("0x20000", "2"));
}

TEST_CASE("a server on the gateway itself is reached as ever") {
    LINKBAL_OWN_NAMESPACE();
    make_two_links();
    LINKBAL_WAY_OUT(velox2, second_mark);
    const auto result = run_in(velox2->cgroup(), {"python3", "-c", R"(
from socket import *
for address in ('127.0.0.1', '198.51.101.2'):
    with create_server((address, 0)) as server:
        client = create_connection(server.getsockname(), timeout=5)
        peer, source = server.accept()
        print(address, source[0], peer.getsockopt(SOL_SOCKET, 36), end=' ')
)"});
    INFO(result.describe());
    CHECK(result.last_line == "127.0.0.1 127.0.0.1 131072 198.51.101.2 198.51.101.2 131072");
}

TEST_CASE("a way out is gone with its object, and stays while somebody is in it") {
    LINKBAL_WAY_OUT(gone, 1);
    const std::string path = cgroup_path("gone");
    CHECK(std::filesystem::is_directory(path));
    const auto left_behind = run_in(gone->cgroup(), {"sh", "-c", "exec >&- 2>&-; sleep 1000 & :"});
    REQUIRE(left_behind.succeeded());
    gone.reset();
    CHECK(std::filesystem::is_directory(path));
    // Taken over by the next one, whose mark is the one that counts.
    auto next = WayOut::make(own_instance(), "gone", second_mark);
    REQUIRE(next);
    std::optional<WayOut> taken(*std::move(next));
    __u32 programs = 0;
    REQUIRE(bpf_prog_query(taken->cgroup(), BPF_CGROUP_INET_SOCK_CREATE, 0, nullptr, nullptr,
                           &programs) == 0);
    CHECK(programs == 1);
    const auto mark = run_in(taken->cgroup(), {"python3", "-c",
                                               "from socket import *; "
                                               "print(socket().getsockopt(SOL_SOCKET, 36))"});
    CHECK(mark.last_line == "131072");
    const pid_t sleeper = std::stoi(read_file(path + "/cgroup.procs").value_or("0"));
    REQUIRE(sleeper > 1);
    REQUIRE(kill(sleeper, SIGKILL) == 0);
    asio::io_context context;
    REQUIRE(run_until(context, [&] { return read_file(path + "/cgroup.procs") == std::string(); }));
    taken.reset();
    CHECK(!std::filesystem::exists(path));
}

TEST_CASE("our cgroup is found where it is mounted") {
    const std::string hybrid =
        "22 1 0:21 / /sys rw - sysfs sysfs rw\n"
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
    CHECK(own_cgroup(hybrid, "2:cpu:/a\n0::/\n") == "/sys/fs/cgroup/unified");
    CHECK(own_cgroup(hybrid, "2:cpu:/a\n0::/system.slice/linkbal.service\n") ==
          "/sys/fs/cgroup/unified/system.slice/linkbal.service");
    const std::string part = "41 31 0:38 /machine /mnt/c\\040g rw - cgroup2 none rw\n";
    CHECK(own_cgroup(part, "0::/machine/a\n") == "/mnt/c g/a");
    CHECK(own_cgroup(part, "0::/machine\n") == "/mnt/c g");
    CHECK(own_cgroup(part, "0::/machines\n").error().message ==
          "our cgroup /machines is not below /machine, which is mounted at /mnt/c g");
    CHECK(own_cgroup("", "0::/\n").error().message ==
          "no cgroup file system of version 2 is mounted");
    CHECK(!own_cgroup(hybrid, "2:cpu:/a\n"));
    CHECK(!own_cgroup(hybrid, "0::/../outside\n"));
}
