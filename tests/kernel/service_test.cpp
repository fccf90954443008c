// SPDX-License-Identifier: GPL-2.0-or-later
// What the service manager and the journal are told.
#include "daemon/service.h"

#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "datagrams.h"
#include "loop.h"
#include "util/file.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct Manager {
    fs::path path =
        fs::temp_directory_path() / fmt::format("linkbal-notify-{}", static_cast<int>(getpid()));
    Datagrams socket{path.string()};
    Manager() { setenv("NOTIFY_SOCKET", path.c_str(), 1); }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;
    ~Manager() {
        for (const auto* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
            unsetenv(name);
        }
        fs::remove(path);
    }
};

// Standard error goes to a file, which JOURNAL_STREAM may call the journal.
class ErrorStream {
  public:
    ErrorStream() : former_(dup(STDERR_FILENO)), file_(open("/tmp", O_TMPFILE | O_RDWR, 0600)) {
        REQUIRE(dup2(file_.get(), STDERR_FILENO) >= 0);
    }
    ErrorStream(const ErrorStream&) = delete;
    ErrorStream& operator=(const ErrorStream&) = delete;
    ~ErrorStream() {
        dup2(former_.get(), STDERR_FILENO);
        unsetenv("JOURNAL_STREAM");
    }
    void become_journal() const {
        struct stat info{};
        REQUIRE(fstat(STDERR_FILENO, &info) == 0);
        setenv("JOURNAL_STREAM", fmt::format("{}:{}", info.st_dev, info.st_ino).c_str(), 1);
    }
    [[nodiscard]] std::string text() const {
        std::array<char, 4096> bytes{};
        const auto size = pread(file_.get(), bytes.data(), bytes.size(), 0);
        return {bytes.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
    }

  private:
    Fd former_, file_;
};

struct FormerLogger {
    std::shared_ptr<spdlog::logger> logger = spdlog::default_logger();
    FormerLogger() { spdlog::set_level(spdlog::level::info); }
    FormerLogger(const FormerLogger&) = delete;
    FormerLogger& operator=(const FormerLogger&) = delete;
    ~FormerLogger() { spdlog::set_default_logger(logger); }
};

void log_a_change() {
    log_event(spdlog::level::warn, "link",
              {{"uplink", "velox1"}, {"state", "down"}, {"reason", "2 of \"2\"\nfail"}});
}

} // namespace

TEST_CASE("the service manager hears of every state") {
    const Manager manager;
    ServiceManager::ready("two links\nup");
    CHECK(manager.socket.next() == "READY=1\nSTATUS=two links up");
    ServiceManager::status("one link up");
    CHECK(manager.socket.next() == "STATUS=one link up");
    timespec before{};
    timespec after{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    ServiceManager::reloading();
    clock_gettime(CLOCK_MONOTONIC, &after);
    const std::string reloading = manager.socket.next().value_or("");
    const std::string prefix = "RELOADING=1\nMONOTONIC_USEC=";
    REQUIRE(reloading.starts_with(prefix));
    const auto time = std::stoll(reloading.substr(prefix.size()));
    CHECK(time >= before.tv_sec * 1000000 + before.tv_nsec / 1000);
    CHECK(time <= after.tv_sec * 1000000 + after.tv_nsec / 1000);
    ServiceManager::stopping();
    CHECK(manager.socket.next() == "STOPPING=1");
}

TEST_CASE("the watchdog is fed by the loop, twice in its interval") {
    const Manager manager;
    setenv("WATCHDOG_USEC", "4000000", 1);
    asio::io_context context;
    const auto begin = std::chrono::steady_clock::now();
    std::optional<ServiceManager> service(context);
    CHECK(manager.socket.next() == "WATCHDOG=1");
    bool pinged = false;
    CHECK(run_until(context,
                    [&] { return pinged = pinged || manager.socket.next() == "WATCHDOG=1"; }));
    const auto passed = std::chrono::steady_clock::now() - begin;
    CHECK(passed >= 2s);
    CHECK(passed < 4s);
    service.reset();
    context.restart();
    context.run(); // nothing is left that would keep it
    CHECK(!manager.socket.next());
}

TEST_CASE("without a service manager, or with another's watchdog, nothing happens") {
    asio::io_context context;
    const ServiceManager alone(context);
    ServiceManager::ready("up");
    CHECK(context.poll() == 0);
    const Manager manager;
    setenv("WATCHDOG_USEC", "100000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    const ServiceManager others(context);
    CHECK(context.poll() == 0);
    CHECK(!manager.socket.next());
}

TEST_CASE("an event is one line on standard error, with its level") {
    const FormerLogger former;
    const ErrorStream errors;
    set_up_daemon_log();
    CHECK(!logs_to_journal());
    log_a_change();
    log_event(spdlog::level::debug, "not asked for", {});
    spdlog::info("plain");
    CHECK(errors.text() == "warning: link uplink=velox1 state=down reason=\"2 of \\\"2\\\" fail\"\n"
                           "info: plain\n");
}

TEST_CASE("in the journal an event has its fields, and plain lines have their priority") {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") != 0) {
        LINKBAL_SKIP("no mount namespace of our own: needs root");
    }
    fs::create_directories("/run/systemd/journal");
    const Datagrams journal("/run/systemd/journal/socket");
    const FormerLogger former;
    const ErrorStream errors;
    setenv("JOURNAL_STREAM", "1:1", 1);
    CHECK(!logs_to_journal()); // somebody else's: standard error was redirected
    errors.become_journal();
    set_up_daemon_log();
    log_a_change();
    spdlog::error("plain");
    spdlog::info("plain");
    CHECK(errors.text() == "<3>plain\n<6>plain\n");
    const std::string entry = journal.next().value_or("");
    CHECK(entry.find("MESSAGE=link uplink=velox1 state=down reason=\"2 of \\\"2\\\" fail\"\n") !=
          std::string::npos);
    CHECK(entry.find("PRIORITY=4\n") != std::string::npos);
    CHECK(entry.find("LINKBAL_UPLINK=velox1\n") != std::string::npos);
    CHECK(entry.find("LINKBAL_STATE=down\n") != std::string::npos);
    // A value with a newline goes as name, length and bytes.
    CHECK(entry.find(std::string("LINKBAL_REASON\n\x0d\0\0\0\0\0\0\0"
                                 "2 of \"2\"\nfail\n",
                                 37)) != std::string::npos);
}
