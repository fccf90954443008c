// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <future>

#include "scratch_directory.h"
#include "util/file.h"
#include "util/lock_file.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

TEST_CASE("one holds the lock, the next may have it afterwards") {
    const ScratchDirectory directory;
    const auto path = directory / "run/linkbal/lock"; // directories are made
    {
        const auto first = LockFile::acquire(path, 0ms);
        REQUIRE(first);
        const auto second = LockFile::acquire(path, 0ms);
        REQUIRE_FALSE(second);
        CHECK(second.error().code == 0);
        CHECK(second.error().message == fmt::format("{} is locked", path.string()));
    }
    CHECK(LockFile::acquire(path, 0ms));
}

TEST_CASE("a lock that is moved is held by its new owner") {
    const ScratchDirectory directory;
    auto first = LockFile::acquire(directory / "lock", 0ms);
    REQUIRE(first);
    {
        const LockFile owner = *std::move(first);
        CHECK_FALSE(LockFile::acquire(directory / "lock", 0ms));
    }
    CHECK(LockFile::acquire(directory / "lock", 0ms));
}

TEST_CASE("the next waits as long as it is told") {
    const ScratchDirectory directory;
    auto first = LockFile::acquire(directory / "lock", 0ms);
    REQUIRE(first);
    const auto start = std::chrono::steady_clock::now();
    CHECK_FALSE(LockFile::acquire(directory / "lock", 30ms));
    CHECK(std::chrono::steady_clock::now() - start >= 30ms);
    auto second =
        std::async(std::launch::async, [&] { return LockFile::acquire(directory / "lock", 30s); });
    std::this_thread::sleep_for(20ms);
    {
        const LockFile released = *std::move(first);
    }
    CHECK(second.get());
}

// Whoever waited for a file that is gone would hold a lock that nobody else sees.
TEST_CASE("a lock on a removed file is no lock") {
    const ScratchDirectory directory;
    auto first = LockFile::acquire(directory / "lock", 0ms);
    REQUIRE(first);
    auto second =
        std::async(std::launch::async, [&] { return LockFile::acquire(directory / "lock", 30s); });
    std::this_thread::sleep_for(20ms);
    first->remove();
    auto waited = second.get();
    REQUIRE(waited);
    CHECK(std::filesystem::exists(directory / "lock"));
    CHECK_FALSE(LockFile::acquire(directory / "lock", 0ms));
}

TEST_CASE("the holder's line can be read by everybody") {
    const ScratchDirectory directory;
    auto lock = LockFile::acquire(directory / "lock", 0ms);
    REQUIRE(lock);
    CHECK(lock->read().empty());
    REQUIRE(lock->write("process 123456\nmore\n"));
    CHECK(lock->read() == "process 123456");
    REQUIRE(lock->write("7\n"));
    CHECK(lock->read() == "7");
    CHECK(read_file(directory / "lock").value() == "7\n");
}

TEST_CASE("a lock that cannot be made is an error at once, not a lock that another holds") {
    const ScratchDirectory directory;
    std::filesystem::create_directory(directory / "is_directory");
    const auto taken = LockFile::acquire(directory / "is_directory", 30s);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == EISDIR);
    std::filesystem::create_symlink(directory / "nowhere", directory / "link");
    const auto nowhere = LockFile::acquire(directory / "link/lock", 30s);
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code != 0);
}
