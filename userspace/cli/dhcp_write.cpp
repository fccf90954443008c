// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/dhcp_write.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <ranges>

#include <unistd.h>

#include "cli/report.h"
#include "daemon/process.h"
#include "util/file.h"
#include "util/prepared_file.h"

namespace linkbal {

namespace {

using namespace std::chrono_literals;

constexpr auto checker_patience = 30s;

// Whether the file has to be written.
Result<bool> is_due(const DhcpFile& file) {
    const auto found = read_file(file.path);
    if (!found) {
        return found.error().code == ENOENT ? Result<bool>(true) : tl::unexpected(found.error());
    }
    if (!is_signed(*found)) {
        return fail("{} is there and was not written by `linkbal dhcp`: move it away, or name "
                    "another place by `file` in [dhcp]",
                    file.path);
    }
    return *found != file.text;
}

Result<std::vector<DhcpFile>> due_files(const std::vector<DhcpFile>& files) {
    std::vector<DhcpFile> due;
    for (const DhcpFile& file : files) {
        const auto is = is_due(file);
        if (!is) {
            return tl::unexpected(is.error());
        }
        if (*is) {
            due.push_back(file);
        }
    }
    return due;
}

bool is_program(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

// In PATH, and where servers are: root's PATH may be that of the user who became root.
Result<std::string> find_program(const std::string& name, const std::string& package) {
    const char* path = std::getenv("PATH"); // NOLINT(concurrency-mt-unsafe): there is one thread
    const std::string directories =
        fmt::format("{}:/usr/local/sbin:/usr/sbin:/sbin", path != nullptr ? path : "");
    for (const auto part : std::views::split(directories, ':')) {
        const std::filesystem::path directory(std::string(part.begin(), part.end()));
        if (directory.is_absolute() && is_program(directory / name)) {
            return directory / name;
        }
    }
    return fail("{}, which is to check the files, is not there: the package {} has it", name,
                package);
}

ProcessResult run_now(ProcessSpec command) {
    asio::io_context context;
    Processes processes(context);
    ProcessResult result;
    asio::co_spawn(
        context, processes.run(std::move(command)),
        [&](const std::exception_ptr&, ProcessResult ended) { result = std::move(ended); });
    context.run();
    return result;
}

Status check_file(const DhcpFile& file, const std::string& program, const std::string& unfinished) {
    ProcessSpec command;
    command.words = file.checker;
    command.words.front() = program;
    command.words.push_back(unfinished);
    command.time_limit = checker_patience;
    command.title = file.checker.front();
    const auto result = run_now(std::move(command));
    if (!result.succeeded()) {
        return fail("{}: {} refuses it: {}", file.path, file.checker.front(), result.describe());
    }
    return {};
}

Result<std::vector<std::string>> find_checkers(const std::vector<DhcpFile>& files) {
    std::vector<std::string> programs;
    for (const DhcpFile& file : files) {
        auto program = find_program(file.checker.front(), file.package);
        if (!program) {
            return tl::unexpected(program.error());
        }
        programs.push_back(*std::move(program));
    }
    return programs;
}

Status install(const std::vector<DhcpFile>& files) {
    const auto checkers = find_checkers(files);
    if (!checkers) {
        return tl::unexpected(checkers.error());
    }
    std::vector<PreparedFile> prepared;
    for (size_t i = 0; i < files.size(); ++i) {
        auto file = PreparedFile::create(files[i].path, files[i].text);
        if (!file) {
            return tl::unexpected(file.error());
        }
        prepared.push_back(*std::move(file));
        if (auto good = check_file(files[i], (*checkers)[i], prepared.back().unfinished().string());
            !good) {
            return good;
        }
    }
    // Somebody may have put a file of theirs there while the checkers ran.
    if (const auto still = due_files(files); !still) {
        return tl::unexpected(still.error());
    }
    return put_all(prepared);
}

} // namespace

int write_dhcp_files(const std::vector<DhcpFile>& files) {
    const auto due = due_files(files);
    const auto installed = due ? install(*due) : Status(tl::unexpected(due.error()));
    if (!installed) {
        report(Error{installed.error()}.within("nothing written"));
        return exit_failed;
    }
    for (const DhcpFile& file : files) {
        const bool written = std::ranges::find(*due, file.path, &DhcpFile::path) != due->end();
        print("{}: {}\n", file.path,
              written ? fmt::format("written; {} reads it when it is restarted", file.service)
                      : "unchanged");
    }
    return exit_done;
}

} // namespace linkbal
