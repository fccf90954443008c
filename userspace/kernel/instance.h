// SPDX-License-Identifier: GPL-2.0-or-later
// The run-time directory /run/INSTANCE: who works on the instance, and what must be remembered.
#pragma once

#include <chrono>
#include <string>

#include "core/memory.h"
#include "util/lock_file.h"
#include "util/result.h"

namespace linkbal {

// One process at a time changes an instance. Waits up to `patience`; the error then names the process
// that holds the lock. Creates the run-time directory.
Result<LockFile> lock_instance(const std::string& instance, std::chrono::milliseconds patience);

// An empty Memory where nothing has been applied.
Result<Memory> read_memory(const std::string& instance);
// Atomic: readers and a crash see the old or the new one.
Status write_memory(const std::string& instance, const Memory& memory);
// Removes the memory and the directory; to be called with the lock held.
Status forget_instance(const std::string& instance);

// Identifies the network namespace of this process.
Result<uint64_t> network_namespace();

} // namespace linkbal
