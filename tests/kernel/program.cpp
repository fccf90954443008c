// SPDX-License-Identifier: GPL-2.0-or-later
#include "program.h"

#include <array>
#include <cstdio>
#include <vector>

#include "support/catch.h"
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"

namespace linkbal::test {

namespace {

std::string contents(int fd) {
    std::string text;
    std::array<char, 4096> part{};
    lseek(fd, 0, SEEK_SET);
    for (ssize_t got = 0; (got = read(fd, part.data(), part.size())) > 0;) {
        text.append(part.data(), static_cast<size_t>(got));
    }
    return text;
}

int spawn(const std::vector<char*>& arguments, int input, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    pid_t child = 0;
    const int failed =
        posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        return 127;
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

} // namespace

Outcome run(std::initializer_list<std::string> command, const std::string& input) {
    std::vector<std::string> words(command);
    std::vector<char*> arguments;
    for (auto& word : words) {
        arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    const Fd in(memfd_create("input", MFD_CLOEXEC));
    const Fd out(memfd_create("output", MFD_CLOEXEC));
    REQUIRE(write(in.get(), input.data(), input.size()) == static_cast<ssize_t>(input.size()));
    lseek(in.get(), 0, SEEK_SET);
    const int status = spawn(arguments, in.get(), out.get());
    return {status, contents(out.get())};
}

void nft(const std::string& commands) {
    const auto outcome = run({"nft", "-f", "-"}, commands);
    INFO(commands << "\n" << outcome.output);
    REQUIRE(outcome.status == 0);
}

std::string nft_list(const std::string& what) {
    const auto outcome = run({"nft", "list " + what});
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    return outcome.output;
}

bool has_nft() { return run({"nft", "--version"}).status == 0; }

void make_network(std::initializer_list<std::string> devices) {
    REQUIRE(run({"ip", "link", "set", "lo", "up"}).status == 0);
    for (const auto& device : devices) {
        REQUIRE(run({"ip", "link", "add", device, "type", "veth", "peer", device + "p"}).status ==
                0);
        REQUIRE(run({"ip", "link", "set", device, "up"}).status == 0);
        REQUIRE(run({"ip", "link", "set", device + "p", "up"}).status == 0);
    }
}

bool enter_namespace() { return unshare(CLONE_NEWNET) == 0; }

} // namespace linkbal::test
