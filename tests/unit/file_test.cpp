// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <csignal>

#include <sys/resource.h>

#include "scratch_directory.h"
#include "util/file.h"

using namespace linkbal;
using namespace linkbal::test;

TEST_CASE("what is written is read, and nothing is left beside it") {
    const ScratchDirectory directory;
    const std::string binary("a\0b\r\n\xff", 6);
    for (const std::string& content : {std::string("text\n"), std::string(), binary,
                                       std::string(3'000'000, 'x'), std::string("shorter")}) {
        REQUIRE(write_file_atomically(directory / "file", content));
        const auto read = read_file(directory / "file");
        REQUIRE(read);
        CHECK(*read == content);
        CHECK(directory.files() == 1);
    }
}

TEST_CASE("a reader with the file open keeps the old content") {
    const ScratchDirectory directory;
    REQUIRE(write_file_atomically(directory / "file", "old"));
    std::filesystem::create_hard_link(directory / "file", directory / "reader");
    REQUIRE(write_file_atomically(directory / "file", "new"));
    CHECK(read_file(directory / "reader").value() == "old");
    CHECK(read_file(directory / "file").value() == "new");
}

TEST_CASE("what cannot be read is an error that says why") {
    const ScratchDirectory directory;
    const auto missing = read_file(directory / "none");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ENOENT);
    CHECK(missing.error().message ==
          fmt::format("open {}: No such file or directory", (directory / "none").string()));
    std::filesystem::create_directory(directory / "directory");
    const auto no_file = read_file(directory / "directory");
    REQUIRE_FALSE(no_file);
    CHECK(no_file.error().code == EISDIR);
}

TEST_CASE("what cannot be written is an error, and nothing is left behind") {
    const ScratchDirectory directory;
    const auto nowhere = write_file_atomically(directory / "none/file", "x");
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code == ENOENT);
    std::filesystem::create_directory(directory / "directory");
    const auto taken = write_file_atomically(directory / "directory", "x");
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == EISDIR);
    CHECK(directory.files() == 1);
}

TEST_CASE("a write that stops half-way leaves the old content and says why") {
    const ScratchDirectory directory;
    REQUIRE(write_file_atomically(directory / "file", "old"));
    rlimit former{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &former) == 0);
    const rlimit narrow{4096, former.rlim_max};
    const auto former_handler = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &narrow) == 0);
    const auto written = write_file_atomically(directory / "file", std::string(5000, 'x'));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &former) == 0);
    std::signal(SIGXFSZ, former_handler);
    REQUIRE_FALSE(written);
    CHECK(written.error().code == EFBIG);
    CHECK(read_file(directory / "file").value() == "old");
    CHECK(directory.files() == 1);
}
