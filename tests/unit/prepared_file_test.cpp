// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <future>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

#include "scratch_directory.h"
#include "util/file.h"
#include "util/prepared_file.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

mode_t mode_of(const std::filesystem::path& path) {
    struct stat found{};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    return found.st_mode & 07777;
}

// Root may read what it likes: this is nobody for as long as it lives.
class Unprivileged {
  public:
    Unprivileged() : former_(::geteuid()) { REQUIRE((former_ != 0 || ::seteuid(nobody) == 0)); }
    ~Unprivileged() { (void)::seteuid(former_); }
    Unprivileged(const Unprivileged&) = delete;
    Unprivileged& operator=(const Unprivileged&) = delete;

  private:
    static constexpr uid_t nobody = 65534;
    uid_t former_;
};

// Names in it can be changed, but it can't be opened, and so not be written down to the disk.
void make_unreadable(const std::filesystem::path& directory) {
    REQUIRE(::chmod(directory.c_str(), 0300) == 0);
}

} // namespace

TEST_CASE("a prepared file can be read beside its place, and goes if it is not put there") {
    const ScratchDirectory directory;
    {
        const auto prepared = PreparedFile::create(directory / "file", "new");
        REQUIRE(prepared);
        CHECK(prepared->unfinished().filename().string().starts_with("."));
        CHECK(read_file(prepared->unfinished()).value() == "new");
        CHECK_FALSE(std::filesystem::exists(directory / "file"));
    }
    CHECK(directory.files() == 0);
}

TEST_CASE("of two who prepare one file the second waits, and changes nothing of the first's") {
    using namespace std::chrono_literals;
    const ScratchDirectory directory;
    auto first = std::make_optional(PreparedFile::create(directory / "file", "first").value());
    const auto refused = PreparedFile::create(directory / "file", "second", 0ms);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message ==
          (directory / "file").string() + " is just being written by another process");
    CHECK(PreparedFile::create(directory / "other", "other", 0ms));
    CHECK(read_file(first->unfinished()).value() == "first");
    auto second = std::async(std::launch::async, [&] {
        return PreparedFile::create(directory / "file", "second", 30s);
    });
    REQUIRE(first->put());
    CHECK(read_file(directory / "file").value() == "first");
    first.reset();
    {
        auto prepared = second.get();
        REQUIRE(prepared);
        REQUIRE(prepared->put());
    }
    CHECK(read_file(directory / "file").value() == "second");
    CHECK(directory.files() == 1);
}

TEST_CASE("prepared files come together and leave nothing beside them") {
    const ScratchDirectory directory;
    REQUIRE(write_file_atomically(directory / "one", "old"));
    REQUIRE(::chmod((directory / "one").c_str(), 0640) == 0);
    {
        std::vector<PreparedFile> files;
        files.push_back(PreparedFile::create(directory / "one", "1").value());
        files.push_back(PreparedFile::create(directory / "two", "2").value());
        REQUIRE(put_all(files));
    }
    CHECK(read_file(directory / "one").value() == "1");
    CHECK(read_file(directory / "two").value() == "2");
    CHECK(mode_of(directory / "one") == 0640);
    CHECK(mode_of(directory / "two") == 0644);
    CHECK(directory.files() == 2);
}

TEST_CASE("of prepared files none comes where one can't") {
    const ScratchDirectory directory;
    REQUIRE(write_file_atomically(directory / "one", "old"));
    {
        std::vector<PreparedFile> files;
        files.push_back(PreparedFile::create(directory / "one", "1").value());
        files.push_back(PreparedFile::create(directory / "two", "2").value());
        files.push_back(PreparedFile::create(directory / "three", "3").value());
        std::filesystem::create_directory(directory / "three"); // a file can't take its place
        const auto put = put_all(files);
        REQUIRE_FALSE(put);
        CHECK(put.error().code == EISDIR);
        std::filesystem::remove(directory / "three");
    }
    CHECK(read_file(directory / "one").value() == "old");
    CHECK(directory.files() == 1);
}

TEST_CASE("of prepared files none comes where the last one's directory can't be written to disk") {
    const auto former = GENERATE(std::optional<std::string>("old"), std::optional<std::string>());
    const Unprivileged unprivileged;
    const ScratchDirectory directory;
    const ScratchDirectory bad;
    if (former) {
        REQUIRE(write_file_atomically(bad / "two", *former));
    }
    {
        std::vector<PreparedFile> files;
        files.push_back(PreparedFile::create(directory / "one", "1").value());
        files.push_back(PreparedFile::create(bad / "two", "2").value());
        make_unreadable(bad / "");
        const auto put = put_all(files);
        REQUIRE_FALSE(put);
        CHECK(put.error().code == EACCES);
        CHECK(put.error().message ==
              fmt::format("write {}: Permission denied", (bad / "").parent_path().string()));
    }
    REQUIRE(::chmod((bad / "").c_str(), 0700) == 0);
    CHECK(directory.files() == 0);
    CHECK(bad.files() == (former ? 1 : 0));
    CHECK(read_file(bad / "two").value_or("none") == former.value_or("none"));
}

TEST_CASE("the former file stays beside its place where it can't come back") {
    const ScratchDirectory directory;
    REQUIRE(write_file_atomically(directory / "file", "old"));
    {
        auto prepared = PreparedFile::create(directory / "file", "new").value();
        REQUIRE(prepared.put());
        std::filesystem::remove(directory / "file");
        std::filesystem::create_directory(directory / "file");
        const auto back = prepared.take_back();
        REQUIRE_FALSE(back);
        CHECK(back.error().message.find((directory / ".file.old").string()) != std::string::npos);
    }
    CHECK(read_file(directory / ".file.old").value() == "old");
    CHECK(directory.files() == 2);
}

TEST_CASE("what can't be prepared is an error that says why") {
    const ScratchDirectory directory;
    CHECK(PreparedFile::create(directory / "none/file", "x").error().code == ENOENT);
    std::filesystem::create_directory(directory / "directory");
    CHECK(PreparedFile::create(directory / "directory", "x").error().message ==
          (directory / "directory").string() + ": expected a regular file");
    std::filesystem::create_symlink("/dev/null", directory / "link");
    CHECK_FALSE(PreparedFile::create(directory / "link", "x"));
    CHECK(directory.files() == 2);
}
