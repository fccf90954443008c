// SPDX-License-Identifier: GPL-2.0-or-later
// The programs that are pinned below an instance's directory:
//
//   programs/NAME      those that attach() puts on devices
//   programs/NAME@ID   former ones, as long as a device runs them
//
// The kernel opens what runs on a device by its id for CAP_SYS_ADMIN only, and whatever is replaced
// there may have to be put back.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

struct ProgramPin {
    std::string path; // empty where it was opened by its id
    std::string name; // the program's
    uint32_t id = 0;
    Fd program;
    bool former = false;
};

// The ids of the maps that a program uses; {0}, which no map has, where the kernel doesn't say.
std::set<uint32_t> used_maps(const Fd& program);

std::string program_directory(const std::string& directory);
std::string program_path(const std::string& directory, std::string_view name);

// Without unfinished ones.
Result<std::vector<ProgramPin>> read_program_pins(const std::string& directory);
// The program of this id, former ones included, which is whatever this version has replaced while it
// ran. What other versions left without a pin is opened by its id and added, where that is allowed;
// nullptr where it is not, or where there is no such program (0: none).
Result<ProgramPin*> find_program(std::vector<ProgramPin>& pins, uint32_t id);
// True if there is anything that release_former_programs() may have to do.
Result<bool> has_former_programs(const std::string& directory);
// Before programs/NAME goes to another: those that run get a pin that stays.
Status keep_former_programs(const std::string& directory, const std::set<uint32_t>& running);
// Unpins those that run nowhere, or under programs/NAME again.
Status release_former_programs(const std::string& directory, const std::set<uint32_t>& running);

} // namespace linkbal
